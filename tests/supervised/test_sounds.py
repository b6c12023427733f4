"""The classifier hears: it learns tones, and shows and plays what it got wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import lab
from lab.cli.main import main
from lab.data import Batch, Sounds
from lab.data.sets.audio import load_tones
from lab.data.sound import Sound
from lab.nn.spectrogram import LogMelSpectrogram
from supervised.baselines import described
from supervised.sounds import Judged, heard, judged, spectrograms

SMALL = {
    "data.name": "tones",
    "data.augment": None,
    "model.encoder.encoder.channels": [16, 24],
    "data.batch_size": 16,
    "trainer.max_epochs": 2,
    "threads": 1,
}


def test_classifier_learns_tones(capsys: pytest.CaptureFixture[str]) -> None:
    run = lab.run("speech-digits", SMALL, runs_dir="runs")
    assert (run.metrics["test/accuracy"] or 0) > 0.9
    assert set(run.baselines) >= {"most frequent class", "nearest centroid", "ridge regression"}
    assert run.baselines["most frequent class"]["test/accuracy"] == pytest.approx(0.1)
    assert run.baselines["ridge regression"]["test/accuracy"] > 0.3
    names = {path.name.rsplit("-", 1)[0] for path in (run.dir / "media").iterdir()}
    assert {"confusion_matrix", "spectrograms"} <= names
    capsys.readouterr()
    for digit in (3, 7):
        clip = next(one for one in load_tones().clips if one.label == digit)
        Path(f"{digit}.wav").write_bytes(Sound(clip.samples / 32_767, 8_000).wav())
    assert main(["predict", str(run.dir), "3.wav", "7.wav"]) == 0
    assert [line[:8] for line in capsys.readouterr().out.splitlines()] == ["3.wav: 3", "7.wav: 7"]


def test_padding_does_not_change_a_baseline() -> None:
    sounds = torch.randn(2, 3_000, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(3_000) < torch.tensor([[3_000], [900]])
    together = described(Batch(sounds, None, mask), 8_000)
    assert torch.allclose(together[1], described(Batch(sounds[1:, :900]), 8_000)[0], atol=1e-4)
    frames = LogMelSpectrogram(8_000, normalise="none")(sounds[1:, :900])[0][0]
    assert torch.allclose(together[1], torch.cat([frames.mean(0), frames.std(0, correction=0)]), atol=1e-4)


def test_mistakes_are_without_padding() -> None:
    x, mask = torch.ones(3, 50), torch.arange(50) < torch.tensor([[50], [20], [30]])
    batch = Batch(x, torch.tensor([0, 1, 2]), mask)
    found = judged(batch, torch.tensor([0, 2, 1]), torch.tensor([1, 2]))
    assert [(len(one.input), one.label, one.predicted) for one in found] == [(20, 1, 2), (30, 2, 1)]
    played = heard(found, 8_000, "abc")
    assert list(played) == ["mistake-1-true-b-predicted-c", "mistake-2-true-c-predicted-b"]
    assert [len(sound.samples) for sound in played.values()] == [20, 30]


def test_any_number_of_sounds_is_drawn() -> None:
    sizes = [spectrograms([Judged(torch.randn(500), 0, 1)] * count, 8_000, "ab").size for count in (1, 5, 40)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[2] == spectrograms([Judged(torch.randn(500), 0, 1)] * 12, 8_000, "ab").size
    data = Sounds(name="tones")
    data.prepare()
    assert data.spec.require_classes("it") == 10
