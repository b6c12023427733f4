"""Figures of a run, read so that a damaged or foreign summary does no harm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.runs.select import Run


def figure(run: Run, metric: str | None) -> float | None:
    """Return the run's figure under that metric; None where it has none."""
    return number(run.record.metrics.get(metric)) if metric else None


def noise(run: Run, metric: str | None) -> float | None:
    """Return the standard deviation of the run's figure over its episodes; None where it has none."""
    return number(run.record.metrics.get(f"{str(metric).removesuffix('_mean')}_std"))


def episodes_of(run: Run) -> int:
    """Return how many episodes the run's figures are means of; 0 where they are of none."""
    counts = (number(run.value(name)) for name in run.roles.episodes)
    return int(next((count for count in counts if count is not None), 0))


def seed_of(run: Run) -> int:
    """Return the run's seed; 0 where a damaged summary has none."""
    return int(number(run.record.seed) or 0)


def number(value: Any) -> float | None:
    """Return a finite number as a float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer of 400 digits
        return None
