"""Sequences are recordings of one speaker and one split, with silence between."""

from __future__ import annotations

from itertools import groupby

import pytest
import torch

from lab.data import SpokenSequences
from lab.data.own.examples import Clip
from lab.data.spoken.joined import JoinedBatches, Plan
from lab.errors import ConfigError

CPU = torch.device("cpu")
LENGTHS = [7, 11, 5, 9, 13, 6]
CLIPS = [
    Clip(torch.full((length,), number + 1, dtype=torch.int16), number % 3, f"speaker {number // 3}", 0)
    for number, length in enumerate(LENGTHS)
]
"""Each sample is the number of the recording plus 1; silence is 0. Two speakers say three words each."""


def joined(count: int = 40, silences: tuple[int, int] = (2, 4), **options: object) -> JoinedBatches:
    settings = {"batch_size": 8, "seed": None} | options
    return JoinedBatches(CLIPS, Plan(2, 4, *silences), count, CPU, **settings)  # type: ignore[arg-type]


def test_sequence_is_recordings_and_silences() -> None:
    said, pauses = set(), set()
    for batch in joined():
        for sound, real, labels in zip(batch.inputs, batch.mask, batch.targets, strict=True):
            assert not sound[~real].any()
            assert real.tolist() == sorted(real.tolist(), reverse=True)
            runs = [(value, len(list(run))) for value, run in groupby(sound[real].tolist())]
            words = [(value - 1, length) for value, length in runs if value]
            silences = [length for value, length in runs if not value]
            assert 2 <= len(words) <= 4
            assert all(length == LENGTHS[number] for number, length in words)
            assert len({CLIPS[number].speaker for number, _ in words}) == 1
            assert [CLIPS[number].label for number, _ in words] == labels[labels >= 0].tolist()
            assert len(silences) == len(words) + 1
            said |= {number for number, _ in words}
            pauses |= set(silences)
    assert said == set(range(6))
    assert pauses == {2, 3, 4}


def test_training_sequences_are_new_in_each_epoch() -> None:
    batches = joined(seed=3)
    first, second = list(batches), list(batches)
    assert [batch.targets.tolist() for batch in first] != [batch.targets.tolist() for batch in second]
    resumed = joined(seed=3)
    resumed.load_state_dict({"epoch": 1, "batch": 2})
    for one, again in zip(second[2:], resumed, strict=True):
        assert torch.equal(one.inputs, again.inputs)
        assert torch.equal(one.targets, again.targets)
    together = torch.cat([batch.mask.sum(1) for batch in second])
    padding = sum(int((~batch.mask).sum()) for batch in second)
    assert padding < 40 * int(together.max()) - int(together.sum()), "similar lengths do not stand together"


def test_splits_share_no_recording() -> None:
    data = SpokenSequences(name="tones", train_size=20, val_size=10, test_size=10, batch_size=5)
    data.prepare()
    splits = [data.train(CPU, 0), data.validation(CPU), data.test(CPU)]
    sounds = [{sound.numpy().tobytes() for sound in split.sounds} for split in splits]  # type: ignore[union-attr]
    assert all(len(some) > 200 for some in sounds)
    assert not sounds[0] & sounds[1] | sounds[0] & sounds[2] | sounds[1] & sounds[2]
    assert any("nobody has said them" in note for note in data.notes)
    tested = [batch.targets.tolist() for batch in data.test(CPU)]  # type: ignore[union-attr]
    again = SpokenSequences(name="tones", train_size=50, test_size=10, silence=0.1)
    again.prepare()
    assert [batch.targets.tolist() for batch in again.test(CPU)] == tested  # type: ignore[union-attr]


def test_other_silences_have_the_same_recordings() -> None:
    data = SpokenSequences(name="tones", test_size=10)
    data.prepare()
    usual, others = data.test(CPU), data.other_tests(CPU)
    assert set(others) == {"no_silence", "long_silence"}
    assert all(other.recordings == usual.recordings for other in others.values())  # type: ignore[attr-defined]
    assert not any(map(any, others["no_silence"].silences))  # type: ignore[attr-defined]
    assert all(min(row) >= 4_000 for row in others["long_silence"].silences)  # type: ignore[attr-defined]
    assert max(batch.inputs.shape[1] for batch in others["long_silence"]) <= data.spec.input.shape[0]  # type: ignore[union-attr]


def test_fewest_above_most_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.fewest must be at most data\.most, 7, received 9"):
        SpokenSequences(fewest=9)
