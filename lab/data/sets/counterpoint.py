"""Counterpoint of two voices by rule, which stands in for the chorales."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from lab.data.files.score import KEYS

SCALE = (0, 2, 4, 5, 7, 9, 11)  # semitones of the steps of a major scale above its keynote
CONSONANT = (2, 4, 5, 7, 9)  # steps of the scale from one voice to the other: third, fifth, sixth, octave, tenth
TRITONE = 6  # semitones; the fifth between two steps of the scale that is dissonant
MIDDLE = 39  # the key of middle C
LENGTHS = (24, 96)  # steps of a piece


def counterpoint(count: int, seed: int) -> list[Tensor]:
    """Return so many pieces `(T_i, 88)`, uint8, that follow from the seed.

    The upper voice walks by at most a third through a major scale. The lower voice is always at a consonant distance
    below it, and takes the one that moves it least. Each piece has a keynote of its own, and ends on it.
    """
    chance = random.Random(seed)
    return [_piece(chance) for _ in range(count)]


def _piece(chance: random.Random) -> Tensor:
    keynote, length = MIDDLE + chance.randrange(-5, 7), chance.randrange(*LENGTHS)
    upper, lower, steps = 7, 0, []
    for _ in range(length - 1):
        upper = min(12, max(3, upper + chance.choice((-2, -1, -1, 0, 1, 1, 2))))
        fitting = [upper - distance for distance in CONSONANT if _pitch(upper) - _pitch(upper - distance) != TRITONE]
        _, lower = min((abs(voice - lower), voice) for voice in fitting)
        steps.append((upper, lower))
    steps.append((7, 0))  # the octave on the keynote
    sounding = torch.tensor([[keynote + _pitch(voice) for voice in voices] for voices in steps])
    return torch.zeros(length, KEYS, dtype=torch.uint8).scatter_(1, sounding, 1)


def _pitch(step: int) -> int:
    """Return the semitones of a step of the scale above its keynote."""
    return 12 * (step // 7) + SCALE[step % 7]
