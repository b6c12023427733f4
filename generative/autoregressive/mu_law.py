"""Samples of sound as 256 levels, which are finer where it is quiet (mu-law of ITU-T G.711; van den Oord et al. 2016,
'WaveNet', section 2.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEVELS = 256
MU = LEVELS - 1
SILENCE = LEVELS // 2
"""The level of the sample 0."""


def encode(samples: Tensor) -> Tensor:
    """Return the levels of samples in [-1, 1], int64, of the same shape. What is outside takes the outermost level."""
    bent = samples.sign() * torch.log1p(MU * samples.abs()) / math.log1p(MU)
    return ((bent + 1) / 2 * MU + 0.5).floor().clamp(0, MU).long()


def decode(levels: Tensor) -> Tensor:
    """Return the samples in the middle of levels, of the same shape, float32; levels between two are taken too."""
    bent = 2 * levels.to(torch.promote_types(levels.dtype, torch.float32)) / MU - 1
    return bent.sign() * torch.expm1(bent.abs() * math.log1p(MU)) / MU


def edges() -> Tensor:
    """Return where levels begin and end, `(257,)`, float64: the first reaches from -infinity, the last to infinity."""
    inner = decode(torch.arange(1, LEVELS, dtype=torch.float64) - 0.5)
    ends = torch.tensor([math.inf], dtype=torch.float64)
    return torch.cat([-ends, inner, ends])
