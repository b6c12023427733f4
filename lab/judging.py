"""Figures over many episodes: their spread, and how sure their mean is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True)
class Spread:
    """A sample in figures. `std` is the root mean square deviation of these values, as in `eval/return_std`;
    `standard_error` that of the mean, unbiased, and `low` to `high` the 95 % interval of the mean by Student's t
    (None for a single value)."""

    n: int
    mean: float
    std: float
    standard_error: float | None
    low: float | None
    high: float | None
    min: float
    median: float
    max: float


def spread(values: Sequence[float]) -> Spread:
    """Return the figures of at least one value."""
    sample = np.asarray(values, dtype=float)
    n, mean, std = len(sample), float(sample.mean()), float(sample.std())
    error = low = high = None
    if n > 1:
        error = std / math.sqrt(n - 1)  # std has n under the root, so that this is s / sqrt(n)
        reach = float(stdtrit(n - 1, 0.975)) * error
        low, high = mean - reach, mean + reach
    return Spread(n, mean, std, error, low, high, float(sample.min()), float(np.median(sample)), float(sample.max()))
