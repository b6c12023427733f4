"""A Gaussian that is diffused: what becomes of it is known in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from generative.diffusion.schedule import CosineSchedule

MEAN, DEVIATION = 0.2, 0.25
"""Of the Gaussian that is diffused."""


def all_levels(schedule: CosineSchedule) -> Tensor:
    return torch.arange(1, schedule.levels + 1)


def expected_image(schedule: CosineSchedule, noisy: Tensor, level: Tensor) -> Tensor:
    """E[x_0 | x_t] of the Gaussian."""
    signal = schedule.signal[level]
    spread = signal.square() * DEVIATION**2 + schedule.noise[level].square()
    return MEAN + signal * DEVIATION**2 / spread * (noisy - signal * MEAN)
