"""Positions in a sequence: learned or sinusoidal vectors that are added to the steps, or rotations of attention."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from lab.errors import ConfigError

Positions = Literal["learned", "sinusoidal", "rotary"]

SLOWEST = 10_000.0
"""Ratio of the longest to the shortest wavelength of sinusoidal and rotary positions, as both papers have it."""


class LearnedPositions(nn.Module):
    """A vector for each position is added to the step (Gehring et al. 2017; Radford et al. 2018).

    Args:
        length: of the longest sequence.
        width: features of a step.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(length, width))

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Add the positions from `start` on to `x`, `(B, T, width)`."""
        return x + self.weight[start : start + x.shape[1]]


class SinusoidalPositions(nn.Module):
    """Fixed waves are added to the step (Vaswani et al. 2017, section 3.5): sines in even places, cosines in odd ones.

    Args:
        length: of the longest sequence.
        width: features of a step.
    """

    waves: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.register_buffer("waves", waves(_whole(length), width).float(), persistent=False)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Add the positions from `start` on to `x`, `(B, T, width)`."""
        return x + self.waves[start : start + x.shape[1]]


class RotaryPositions(nn.Module):
    """Queries and keys are turned by angles that grow with their positions, so that a product of the two depends only
    on how far apart they are (Su et al. 2021). Feature i and feature i + D/2 are turned together.

    Args:
        length: of the longest sequence.
        size: features of a head, an even number.

    Raises ConfigError for an odd size.
    """

    cosines: Tensor
    sines: Tensor

    def __init__(self, length: int, size: int) -> None:
        super().__init__()
        if size % 2:
            raise ConfigError(f"rotary positions need an even number of features in each head, received {size}")
        angles = _angles(_whole(length), size // 2)
        sines = angles.sin()
        self.register_buffer("cosines", angles.cos().repeat(1, 2).float(), persistent=False)
        self.register_buffer("sines", torch.cat([-sines, sines], 1).float(), persistent=False)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Turn `x`, `(..., T, D)`, whose first step is at position `start`."""
        end = start + x.shape[-2]
        other = x.roll(x.shape[-1] // 2, -1)  # feature i at the place of feature i + D/2, and the reverse
        return torch.addcmul(x * self.cosines[start:end], other, self.sines[start:end])


def waves(positions: Tensor, width: int) -> Tensor:
    """Return the values of sinusoidal positions at `(T,)`, which need not be whole: `(T, width)`."""
    angles = _angles(positions, -(-width // 2))
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width]


def _angles(positions: Tensor, count: int) -> Tensor:
    """Return the angles of `count` waves at positions `(T,)`, `(T, count)`."""
    rates = SLOWEST ** -(torch.arange(count, dtype=torch.float64) / count)
    return positions[:, None] * rates.to(positions)


def _whole(length: int) -> Tensor:
    return torch.arange(length, dtype=torch.float64)
