"""Figures of a run, read so that a damaged or foreign summary does no harm."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.runs.select import Run

LONGEST = 80  # characters of a status


def own_or_all(runs: Iterable[Run]) -> list[Run]:
    """Return the user's own runs; all of them where none is: figures of somebody else enter no mean of the user's."""
    there = list(runs)
    return [run for run in there if run.record.mine] or there


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


def unfit(run: Run, score: float | None) -> str:
    """Return why a run counts in no mean, in words; empty where it does.

    `score` is its figure; None where it has no finite one.
    """
    if run.record.fast_dev_run:
        return "made with --fast-dev-run"
    if run.status != "completed":
        return "still running" if run.status == "running" else str(run.status)[:LONGEST]
    return "without a finite figure" if score is None else ""


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
