"""Noise by rule, and how loud it is beside a sound."""

from __future__ import annotations

import torch
from torch import Tensor

LOWEST = 20.0
"""Hertz below which pink noise has no more energy: at 0 it would have infinitely much."""


def white(count: int, length: int, generator: torch.Generator) -> Tensor:
    """Return noise with the same energy at all frequencies, `(count, length)`, of deviation 1."""
    return torch.randn(count, length, generator=generator)


def pink(count: int, length: int, rate: int, generator: torch.Generator) -> Tensor:
    """Return noise with the same energy in each octave, `(count, length)`, of mean power 1. `rate` is in samples per
    second."""
    spectrum = torch.fft.rfft(torch.randn(count, length, generator=generator))
    frequencies = torch.fft.rfftfreq(length, 1 / rate).clamp(min=LOWEST)
    return loud(torch.fft.irfft(spectrum / frequencies.sqrt(), length))


def loud(sounds: Tensor) -> Tensor:
    """Return `(..., T)` with a mean power of 1. Silence stays as it is."""
    return sounds / sounds.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-9)


def at_ratio(noise: Tensor, powers: Tensor, decibels: Tensor) -> Tensor:
    """Return noise `(B, T)` of mean power 1, scaled to so many decibels below sounds of these mean powers; both are
    `(B,)`."""
    return noise * (powers / 10 ** (decibels / 10)).sqrt()[:, None]


class Babble:
    """Stretches of several recordings at once.

    The recordings stand end to end, and each voice is a stretch of them from a place of its own. The end is followed by
    the beginning.

    Args:
        recordings: `(T_i,)` each, float32.
        voices: at once.
    """

    def __init__(self, recordings: list[Tensor], voices: int) -> None:
        self.stream, self.voices = torch.cat(recordings), voices
        lengths = torch.tensor([len(one) for one in recordings])
        ends = lengths.cumsum(0)
        self.spans = torch.stack([ends - lengths, ends], 1)

    def room(self, length: int, longest: int) -> bool:
        """Return whether a stretch of this length is found beside a recording of at most `longest` samples."""
        return len(self.stream) > length + longest

    def __call__(self, own: Tensor, length: int, generator: torch.Generator) -> Tensor:
        """Return babble `(B, length)` of mean power 1 in which some recordings do not occur: `own` are their numbers,
        `(B,)`, -1 for none."""
        spans = torch.where(own[:, None] >= 0, self.spans[own.clamp(min=0)], 0)  # (B, 2)
        free = len(self.stream) - (spans[:, 1] - spans[:, 0]) - length + 1
        places = torch.rand(len(own), self.voices, generator=generator, dtype=torch.float64) * free[:, None]
        begins = spans[:, 1:] + places.long()  # (B, voices), from the end of the recording itself on
        at = (begins[..., None] + torch.arange(length)) % len(self.stream)
        return loud(loud(self.stream[at]).sum(1))
