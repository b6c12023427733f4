"""WaveNet says what it was asked for, as far as its recogniser hears; its figures are means over samples."""

from __future__ import annotations

import wave
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import lab
from generative.autoregressive.wavenet import WaveNet
from generative.judges.recogniser import Recogniser
from lab.cli.main import main
from lab.data import Sounds, loader
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import LogMel, Pretrained, TemporalConv
from lab.errors import ConfigError
from tests.generative.small import HEARING

CPU = torch.device("cpu")
TINY: dict[str, Any] = {"filters": 4, "skip": 8, "dilations": (1, 2), "stacks": 1}
SPEC = DataSpec(InputSpec((400,), sample_rate=8_000), Classes(3, ("a", "b", "c")))


@pytest.fixture(scope="module")
def tones() -> Sounds:
    data = Sounds(name="tones")
    data.prepare()
    return data


def test_run_and_sample(capsys: pytest.CaptureFixture[str]) -> None:
    """A run from end to end, and sounds in one file."""
    small = {"data.name": "tones", "model.recogniser.path": str(HEARING), "model.heard": 20, "threads": 1}
    tiny = {f"model.{name}": list(value) if isinstance(value, tuple) else value for name, value in TINY.items()}
    run = lab.run("wavenet-digits", small | tiny, runs_dir="runs", fast_dev_run=True)
    assert {"test/bits_per_sample", "test/recognised", "test/classes_heard", "test/loudness"} <= run.metrics.keys()
    assert run.bounds["test sounds"]["test/recognised"] > 0.8
    assert len(list(run.dir.glob("media/*.wav"))) == 10
    capsys.readouterr()
    assert main(["sample", str(run.dir), "-n", "2", "--class", "7", "-o", "sevens.wav"]) == 0
    assert capsys.readouterr().out == "sevens.wav: 2 samples\n"
    with wave.open("sevens.wav") as file:
        assert file.getframerate() == 8_000
        assert file.getnframes() > 2 * 1_000
    assert main(["sample", str(run.dir), "-n", "3", "--class", "seven", "-o", "none.wav"]) == 2
    assert "there is no class 'seven'" in capsys.readouterr().err
    assert not Path("none.wav").exists()


def test_figures_are_means_over_samples(tones: Sounds) -> None:
    torch.manual_seed(0)
    model = WaveNet(tones.spec, **TINY)
    found = []
    for size in (3, 12):
        tones.eval_batch_size = size
        metrics = model.metrics()
        with torch.no_grad():
            for batch in list(loader.testing_batches(tones, CPU))[: 24 // size]:
                assert model.measure(batch, metrics) == {}
        found.append({name: metric.compute().item() for name, metric in metrics.items()})
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_lengths_are_those_of_the_class(tones: Sounds) -> None:
    model = WaveNet(tones.spec, **TINY)
    model.adapt(tones)
    for label in (0, 9):
        real = torch.tensor([len(clip.samples) for clip in tones._train if clip.label == label])
        assert real.min() <= model.lengths[label].min() <= model.lengths[label].max() <= real.max()
        assert model.lengths[label].float().mean().item() == pytest.approx(real.float().mean().item(), rel=0.02)


def test_recogniser_hears_tones(tones: Sounds) -> None:
    """It is fitted once, and what it hears does not depend on the padding."""
    recogniser = Recogniser(tones.spec, Pretrained(str(HEARING), freeze=True))
    recogniser.learn(tones)
    assert recogniser.accuracy(tones) > 0.9
    clips = [clip.samples / 32_768 for clip in tones._test[:20]]
    together, alone = recogniser.hear(clips), torch.cat([recogniser.hear([clip]) for clip in clips])
    assert torch.equal(together, alone)
    before = {name: value.clone() for name, value in recogniser.state_dict().items()}
    recogniser.train().learn(tones)
    assert all(torch.equal(value, before[name]) for name, value in recogniser.state_dict().items())


def test_recogniser_must_not_change() -> None:
    encoder = partial(LogMel, mels=10, encoder=partial(TemporalConv, channels=(4,)))
    with pytest.raises(ConfigError, match="needs an encoder that does not change, received LogMel without freeze"):
        WaveNet(SPEC, recogniser=encoder, **TINY)


def test_sounds_are_needed() -> None:
    with pytest.raises(ConfigError, match=r"needs sounds with a sample rate, but the input has shape \(5,\)"):
        WaveNet(DataSpec(InputSpec((5,)), Classes(2)), **TINY)


def test_samples_follow_from_seed() -> None:
    torch.manual_seed(0)
    model = WaveNet(SPEC, **TINY)
    model.lengths.fill_(30)
    one, same, other = (model.sample(4, prompt="b", seed=seed) for seed in (1, 1, 2))
    assert [len(sound.samples) for sound in one] == [30] * 4
    assert all(torch.equal(x.samples, y.samples) for x, y in zip(one, same, strict=True))
    assert not any(torch.equal(x.samples, y.samples) for x, y in zip(one, other, strict=True))


def test_silent_models_are_noticed(tones: Sounds, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that says the same whatever it is asked for is said to."""
    model = WaveNet(tones.spec, recogniser=Pretrained(str(HEARING), freeze=True), heard=20, **TINY)
    model.settle(tones)
    model.log_dict = lambda figures: found.update(figures)  # type: ignore[method-assign, assignment, misc]
    found: dict[str, Any] = {}
    with torch.no_grad():
        for parameter in model.network.output[-1].parameters():
            parameter.zero_()
        list(model.network.output.parameters())[-1][128] = 50  # always silent
    model.lengths.fill_(300)
    model.on_test_epoch_end()
    assert "hears only 1 of 10 classes" in capsys.readouterr().err
    assert found["test/recognised"] == pytest.approx(0.1)
    assert found["test/classes_heard"] == 1
