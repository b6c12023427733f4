"""Figures of a run, which may be somebody else's and hold anything."""

from __future__ import annotations

import math
from typing import Any

from lab.runs.select import Run


def figure(run: Run, metric: str | None) -> float | None:
    """The run's figure under that metric; None where it has none."""
    return number(run.record.metrics.get(metric)) if metric else None


def noise(run: Run, metric: str | None) -> float | None:
    """The deviation of the run's figure over its episodes, where it has one."""
    return number(run.record.metrics.get(f"{str(metric).removesuffix('_mean')}_std"))


def episodes_of(run: Run) -> int:
    """How many episodes the trained agent was judged by; 0 where there are none."""
    return int(number(run.value("evaluation.episodes")) or 0)


def seed_of(run: Run) -> int:
    """The run's seed; 0 where a damaged summary has none."""
    return int(number(run.record.seed) or 0)


def number(value: Any) -> float | None:
    """A finite float; None for anything else, which may stand in somebody else's summary."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer of 400 digits
        return None
