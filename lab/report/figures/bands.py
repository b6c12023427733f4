"""The mean of several seeds' curves, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lab.report.figures.curves import Array, Series

GRID = 2_000  # points at most, where rows of the seeds don't lie at the same places

HOW = (
    "Lines are means over a group's finished seeds, bands the 95 % interval of that mean by Student's t, at each point "
    "by itself. Nothing is smoothed. Where rows of the seeds lie at different places, each seed is interpolated "
    f"linearly between its own rows, at all their places or at {GRID:,} equal distances. A mean begins where the last "
    "seed begins and ends where the first one ends, so that it is of the same seeds everywhere. Dotted lines are runs "
    "that no statistic counts. A line of one seed is that seed; its band, where there is one, is what the run itself "
    "logged: the 95 % interval over episodes. Lines of many rows are thinned, with the extremes of every stretch kept. "
    "Wall-clock time runs on while a run waits to be resumed."
)


@dataclass(frozen=True)
class Band:
    """Mean over seeds along an axis, `(points,)` each; `low` to `high` is its 95 % interval at each point."""

    at: Array
    mean: Array
    low: Array
    high: Array


def band(seeds: Sequence[Series], *, clock: bool = False) -> Band | None:
    """Return the band of two or more seeds over their own axis, or over seconds for `clock`; None where their ranges
    have nothing in common."""
    places = [one.seconds if clock else one.at for one in seeds]
    if clock:
        # The clock of a resumed or forked run may have been set back: it must rise, to be interpolated on.
        places = [np.maximum.accumulate(place) for place in places]
    grid, values = places[0], [one.values for one in seeds]
    if not all(np.array_equal(grid, place) for place in places[1:]):
        start, end = max(place[0] for place in places), min(place[-1] for place in places)
        if start > end:
            return None
        grid = _grid(places, float(start), float(end))
        values = [np.interp(grid, place, one) for place, one in zip(places, values, strict=True)]
    sample = np.stack(values)
    mean = sample.mean(0)
    reach = float(stats.t.ppf(0.975, len(seeds) - 1)) * sample.std(0, ddof=1) / math.sqrt(len(seeds))
    return Band(grid, mean, mean - reach, mean + reach)


def _grid(places: Sequence[Array], start: float, end: float) -> Array:
    """All places of all seeds between start and end where they are few, else as many at equal distances."""
    every = np.unique(np.concatenate([place[(place >= start) & (place <= end)] for place in places]))
    return every if len(every) <= GRID else np.linspace(start, end, GRID)
