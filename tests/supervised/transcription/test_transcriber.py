"""A transcriber counts its errors rightly, leaves padding out, learns tones, and says what it hears in a file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

import lab
from lab.cli.main import main
from lab.data import Batch, DataSpec, InputSpec, SpokenSequences
from lab.data.sound import Sound
from lab.data.spec import Classes, Tokens
from lab.data.tokenizers.names import Names
from lab.encoders import LogMel, Recurrent, TemporalConv
from lab.encoders.base import Encoder
from lab.errors import ConfigError
from lab.nn.sequences.ctc import prefix_beam_search
from supervised.transcription import Transcriber
from supervised.transcription.baselines import pieces
from supervised.transcription.errors import ErrorRate, SequenceAccuracy

RATE = 8_000
SOUND = InputSpec((4_000,), sample_rate=RATE)
SPEC = DataSpec(SOUND, Tokens(3, 4, -1, Names(("a", "b", "c"))))
SMALL = partial(LogMel, encoder=partial(TemporalConv, channels=[8, 8]))
TONES = {
    "data.name": "tones",
    "data.fewest": 1,
    "data.most": 2,
    "data.train_size": 8,
    "data.val_size": 4,
    "data.test_size": 6,
    "data.batch_size": 4,
    "model.encoder.encoder.channels": [8, 8],
    "trainer.max_epochs": 1,
    "threads": 1,
}


def distance(one: list[int], other: list[int]) -> int:
    """The fewest substitutions, deletions and insertions (Wagner & Fischer 1974)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row = row, [i]
        for j, b in enumerate(other, 1):
            row.append(min(before[j - 1] + (a != b), before[j] + 1, row[j - 1] + 1))
    return row[-1]


def test_file_says_what_its_numbers_mean() -> None:
    told = Transcriber(SPEC, encoder=SMALL).metadata()
    assert told == {"model": "Transcriber", "labels": ["a", "b", "c"], "blank": 3}


def test_error_rate_is_the_edit_distance() -> None:
    generator = torch.Generator().manual_seed(0)

    def sequences(least: int) -> list[list[int]]:
        sizes = torch.randint(least, 7, (50,), generator=generator).tolist()
        return [torch.randint(11, (size,), generator=generator).tolist() for size in sizes]

    true, predicted = sequences(1), sequences(0)
    rate, accuracy = ErrorRate(), SequenceAccuracy()
    for some in (slice(0, 20), slice(20, 50)):
        rate.update(predicted[some], true[some])
        accuracy.update([*predicted[some], [1, 2]], [*true[some], [1, 2]])
    wrong = sum(map(distance, true, predicted))
    assert float(rate.compute()) == pytest.approx(wrong / sum(map(len, true)))
    right = sum(a == b for a, b in zip(true, predicted, strict=True))
    assert float(accuracy.compute()) == pytest.approx((right + 2) / 52)


@pytest.mark.parametrize("inner", [partial(TemporalConv, channels=[4, 4, 4]), partial(Recurrent, width=4)])
def test_mask_of_features_has_their_length(inner: type[Encoder]) -> None:
    encoder = LogMel(SOUND, encoder=inner)
    whole = torch.randn(1, 4_000)
    for length in (1, 199, 200, 201, 1_234, 3_999, 4_000):
        mask = torch.arange(4_000)[None] < length
        alone, real = encoder.features(whole[:, :length]), encoder.features_mask(mask)
        assert int(real.sum()) == alone.shape[1]
        assert torch.allclose(encoder.features(whole, mask)[real], alone[0], atol=1e-5)


def test_loss_is_the_probability_of_the_labels() -> None:
    torch.manual_seed(0)
    model = Transcriber(SPEC, encoder=SMALL).eval()
    sounds, mask = torch.randn(2, 1_200), torch.arange(1_200) < torch.tensor([[1_200], [700]])
    real = model.encoder.features_mask(mask)
    for labels in ([[0, 0], [2, -1]], [[1, 2], [0, 1]]):
        batch = Batch(sounds, torch.tensor(labels), mask)
        everything = prefix_beam_search(model(sounds, mask), real, width=100_000, blank=3)
        known = [{tuple(one.labels): one.log_probability for one in some} for some in everything]
        rows = [tuple(label for label in row if label >= 0) for row in labels]
        expected = sum(-known[i][row] / len(row) for i, row in enumerate(rows)) / 2
        assert model.losses(batch)["loss"].item() == pytest.approx(expected, rel=1e-4)


def test_labels_are_learned_without_their_places() -> None:
    """Each label shows for one to three steps, with up to two steps of nothing before it."""
    torch.manual_seed(0)
    spec = DataSpec(InputSpec((20, 3)), SPEC.target)
    model = Transcriber(spec, encoder=partial(TemporalConv, channels=[24], kernel=3))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def batch(count: int) -> Batch:
        labels = torch.randint(3, (count, 4))
        steps, mask = torch.zeros(count, 20, 3), torch.zeros(count, 20, dtype=torch.bool)
        for row, some in enumerate(labels.tolist()):
            at = 0
            for before, label in zip([None, *some], some, strict=False):
                at += int(torch.randint(1 if label == before else 0, 3, ()))
                shown = int(torch.randint(1, 4, ()))
                steps[row, at : at + shown, label] = 1
                at += shown
            mask[row, :at] = True
        return Batch(steps + 0.2 * torch.randn_like(steps), labels, mask)

    for _ in range(120):
        optimizer.zero_grad()
        model.losses(batch(16))["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()
    metrics = model.metrics() | {"beam_error_rate": ErrorRate()}
    with torch.no_grad():
        model.measure(batch(50), metrics)
    assert float(metrics["beam_error_rate"].compute()) < 0.05
    assert float(metrics["error_rate"].compute()) < 0.05
    assert float(metrics["sequence_accuracy"].compute()) > 0.8


def test_run_shows_and_transcribes(capsys: pytest.CaptureFixture[str]) -> None:
    run = lab.run("speech-ctc", TONES, runs_dir="runs")
    assert {"test/beam_error_rate", "test/long_silence_error_rate", "test/no_silence_error_rate"} <= set(run.metrics)
    assert set(run.baselines) == {"cut at silence, nearest centroid", "cut at silence, ridge regression"}
    media = {path.suffix for path in (run.dir / "media").iterdir()}
    assert media >= {".png", ".wav", ".txt"}
    data = SpokenSequences(name="tones", fewest=1, most=2, test_size=6)
    data.prepare()
    batch = next(iter(data.test(torch.device("cpu"))))
    real = batch.mask[0]  # type: ignore[index]
    Path("said.wav").write_bytes(Sound(batch.inputs[0][real], RATE).wav())  # type: ignore[index]
    capsys.readouterr()
    assert main(["predict", str(run.dir), "said.wav"]) == 0
    line = capsys.readouterr().out
    assert line.startswith("said.wav: ")
    text = line.partition(": ")[2].partition(", probability")[0]
    assert text == "(empty)" or set(text.split()) <= set("0123456789")
    assert "probability" in line


def test_other_targets_are_refused() -> None:
    with pytest.raises(ConfigError, match="Transcriber needs sequences of token ids as targets"):
        Transcriber(DataSpec(SPEC.input, Classes(3)), encoder=SMALL)
    with pytest.raises(ConfigError, match="the tokens of this data set stand for no text"):
        Transcriber(DataSpec(SPEC.input, Tokens(3, 4, -1)), encoder=SMALL)


def test_sounds_are_cut_where_they_are_silent() -> None:
    loud, silence = torch.sin(torch.arange(1_600) * 0.5), torch.zeros(800)
    sound = torch.cat([silence, loud, silence, 0.5 * loud[:960], silence[:320], 0.5 * loud[:640], silence])
    assert [len(one) for one in pieces(sound, RATE)] == [1_600, 1_920]  # the short silence cuts nothing
    assert [len(one) for one in pieces(torch.zeros(900), RATE)] == [900]
    assert [len(one) for one in pieces(torch.ones(50), RATE)] == [50]


def test_names_are_words_of_a_text(tmp_path: Path) -> None:
    names = Names(("yes", "no"))
    assert names.decode(names.encode("no  yes no")) == "no yes no"
    with pytest.raises(ConfigError, match=r"there is no 'nò'.*known are yes, no"):
        names.encode("yes nò")
    names.save(tmp_path)
    assert (tmp_path / "tokenizer.json").is_file()
