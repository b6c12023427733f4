"""The terms of the variational bound on the likelihood of a diffusion (Ho et al. 2020, section 3), in nats."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.special import log_ndtr

from generative.diffusion.schedule import CosineSchedule
from generative.judges.bits import GREYS


def last_gap(schedule: CosineSchedule, x: Tensor) -> Tensor:
    """L_T: the KL divergence of x_T from N(0, I), `(B,)`, for images `(B, ...)`."""
    mean, variance = schedule.signal[-1] * x, schedule.noise[-1].square()
    return 0.5 * (mean.square() + variance - variance.log() - 1).flatten(1).sum(1)


def gap(schedule: CosineSchedule, x: Tensor, estimate: Tensor, level: Tensor) -> Tensor:
    """L_{t-1}: the KL divergence of the posterior of x_{t-1} from the same with an estimate of x_0, `(B,)`; t >= 2.

    It depends on the ratios of signal to noise alone (Kingma et al. 2021, equation 13).
    """
    lost = schedule.ratio[level - 1] - schedule.ratio[level]
    return 0.5 * lost * (x - estimate).square().flatten(1).sum(1)


def first_gap(x: Tensor, estimate: Tensor, deviation: float) -> Tensor:
    """L_0: minus the log-probability of the grey levels, `(B,)` (Ho et al., equation 13).

    A pixel has the probability that a Gaussian around the estimate gives to all values nearer to its grey level than to
    another. All are in [-1, 1].
    """
    half = 1 / (GREYS - 1)
    above = torch.where(x > 1 - half, math.inf, x + half) - estimate
    below = torch.where(x < half - 1, -math.inf, x - half) - estimate
    # Both on the side of the smaller tail, where a difference of two probabilities near 1 would round to 0.
    flipped = (above + below) > 0
    upper = log_ndtr(torch.where(flipped, -below, above) / deviation)
    lower = log_ndtr(torch.where(flipped, -above, below) / deviation)
    log_probability: Tensor = upper + torch.log1p(-(lower - upper).exp())
    return -log_probability.flatten(1).sum(1)
