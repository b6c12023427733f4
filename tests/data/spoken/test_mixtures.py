"""Mixtures are recordings of one split in noise of the stated kind and loudness."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor

from lab.data import WordInNoise
from lab.data.own.examples import Clip
from lab.data.spoken.mixed import KINDS, Condition, MixedBatches, grid
from lab.data.spoken.noise import Babble, at_ratio, pink, white
from lab.errors import ConfigError, DataError

CPU = torch.device("cpu")
RATE = 8_000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clips(count: int = 12, least: int = 60) -> list[Clip]:
    """Recordings that are known by their level, every third of the word 1; each is loud in all of its samples."""
    return [
        Clip(torch.full((least + number,), 100 * (number + 1), dtype=torch.int16), int(number % 3 == 0), "", number)
        for number in range(count)
    ]


def mixed(recordings: list[Clip], count: int, **changes: Any) -> MixedBatches:
    settings: dict[str, Any] = {"recipe": None, "share": 0.5, "ratios": (0.0, 20.0), "margin": 30, "rate": RATE}
    settings |= {"device": CPU, "drawn_with": 5, "batch_size": 10, "seed": 5} | changes
    return MixedBatches(recordings, 1, count=count, **settings)


def octave_powers(noise: Tensor) -> Tensor:
    """Mean power in the octaves from 125 to 4,000 Hz."""
    power = torch.fft.rfft(noise).abs().square().mean(0)
    frequencies = torch.fft.rfftfreq(noise.shape[1], 1 / RATE)
    edges = [125 * 2**i for i in range(6)]
    return torch.stack([power[(frequencies >= low) & (frequencies < 2 * low)].sum() for low in edges[:-1]])


def test_pink_noise_has_equal_octaves() -> None:
    powers = octave_powers(pink(40, 8_000, RATE, generator()))
    assert float(powers.max() / powers.min()) < 1.1
    powers = octave_powers(white(40, 8_000, generator()))
    assert torch.allclose(powers[1:] / powers[:-1], torch.tensor(2.0), rtol=0.1)
    assert torch.allclose(pink(3, 999, RATE, generator()).square().mean(1), torch.ones(3))


def test_ratio_is_in_decibels() -> None:
    noise, powers = white(2, 50_000, generator()), torch.tensor([4.0, 0.01])
    scaled = at_ratio(noise, powers, torch.tensor([10.0, 0.0])).square().mean(1)
    assert torch.allclose(10 * (powers / scaled).log10(), torch.tensor([10.0, 0.0]), atol=0.1)


def test_babble_is_of_other_recordings() -> None:
    """Recording i holds only i + 1; a stretch that holds a place of the own one would show it."""
    recordings = [torch.full((20 + i,), float(10**i)) for i in range(5)]
    babble = Babble(recordings, voices=1)
    places = []
    for own in (-1, 0, 2, 4):
        for seed in range(60):
            found = babble(torch.tensor([own]), 30, generator(seed))[0]
            levels = {round(math.log10(one), 3) for one in (found / found.min()).tolist()}
            spans = babble.spans[own].tolist() if own >= 0 else [0, 0]
            free = len(babble.stream) - (spans[1] - spans[0]) - 30 + 1
            begin = spans[1] + int(torch.rand(1, 1, 1, generator=generator(seed), dtype=torch.float64) * free)
            taken = {int(at % len(babble.stream)) for at in range(begin, begin + 30)}
            assert not taken & set(range(*spans)), "its own recording is heard"
            assert len(levels) <= 3
            places.append(begin % len(babble.stream))
    assert len(set(places)) > 50
    assert babble.room(30, 24)
    assert not babble.room(100, 24)


def test_mixture_is_recording_and_noise() -> None:
    """At 100 decibels hardly any noise is left; at 0 the noise has the power of the recording."""
    recordings = clips()
    recipe = grid([one.label == 1 for one in recordings], [Condition(kind, 100.0) for kind in KINDS], 36)
    batches = mixed(recordings, 36, recipe=recipe, seed=None)
    labels = []
    for batch in batches:
        for sound, real, label in zip(batch.inputs, batch.mask, batch.targets, strict=True):
            number = round(float(sound.max()) * 32_768 / 100) - 1
            words = (sound * 32_768 / 100).round() == number + 1
            assert int(words.sum()) == len(recordings[number].samples)
            assert int(label) == recordings[number].label
            assert 0 <= int(real.sum()) - int(words.sum()) <= 60
            assert not sound[~real].any()
            labels.append(int(label))
    assert Counter(labels) == {1: 12, 0: 24}
    loud = mixed(clips(least=4_000), 36, recipe=recipe._replace(ratios=torch.zeros(36)), seed=None, margin=0)
    silent = mixed(clips(least=4_000), 36, recipe=recipe, seed=None, margin=0)
    for one, other in zip(loud, silent, strict=True):
        noise = (one.inputs - other.inputs)[:, :4_000].square().mean(1)
        assert torch.allclose(noise / other.inputs[:, :4_000].square().mean(1), torch.tensor(1.0), rtol=0.15)


def test_training_mixtures_are_new_in_each_epoch() -> None:
    batches = mixed(clips(), 40)
    first, second = list(batches), list(batches)
    assert not torch.equal(first[0].inputs[:, :60], second[0].inputs[:, :60])
    resumed = mixed(clips(), 40)
    resumed.load_state_dict({"epoch": 1, "batch": 2})
    for one, again in zip(second[2:], resumed, strict=True):
        assert torch.equal(one.inputs, again.inputs)
        assert torch.equal(one.targets, again.targets)
    fixed = mixed(
        clips(), 36, recipe=grid([one.label == 1 for one in clips()], [Condition("pink", 5.0)], 36), seed=None
    )
    for one, again in zip(list(fixed), list(fixed), strict=True):
        assert torch.equal(one.inputs, again.inputs)


def test_test_has_every_recording_in_every_noise() -> None:
    data = WordInNoise(word="7", name="tones", train_size=50, val_size=30)
    data.prepare()
    test = data.test(CPU)
    recipe = test.recipe  # type: ignore[attr-defined]
    seen = set(zip(recipe.recordings.tolist(), recipe.kinds.tolist(), recipe.ratios.tolist(), strict=True))
    assert len(seen) == 4_500
    told = [(KINDS.index(one.kind), one.ratio) for one in data.conditions]
    assert told == list(zip(recipe.kinds.tolist(), recipe.ratios.tolist(), strict=True))
    words = data.test(CPU).said[recipe.recordings]  # type: ignore[attr-defined]
    assert int(words.sum()) == 450
    assert words[:15].all(), "the first recording is of the word"
    splits = [data.train(CPU, 0), data.validation(CPU), test]
    sounds = [{sound.numpy().tobytes() for sound in split.sounds} for split in splits]  # type: ignore[union-attr]
    assert not sounds[0] & sounds[1] | sounds[0] & sounds[2] | sounds[1] & sounds[2]
    assert any("no sound was recorded in noise" in note for note in data.notes)


def test_impossible_mixtures_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.lowest must be at most data\.highest, 5\.0, received 9"):
        WordInNoise(word="7", lowest=9, highest=5.0)
    data = WordInNoise(word="seven", name="tones")
    with pytest.raises(ConfigError, match=r"there is no class 'seven'.*known are 0, 1"):
        data.prepare()
    with pytest.raises(DataError, match="need recordings of the word and of others"):
        mixed([one for one in clips() if one.label], 10)
    with pytest.raises(DataError, match="too few recordings of other words"):
        mixed(clips(3), 10)
