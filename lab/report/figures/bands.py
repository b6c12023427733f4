"""The mean curve of several seeds, with its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lab.report.figures.curves import Array, Series

GRID = 2_000  # points at most, where the seeds were logged at different steps

HOW = (
    "Lines are means over a group's finished runs, and bands are the 95 % interval of that mean by Student's t at "
    "each point. Nothing is smoothed. Where the runs were logged at different steps, each is interpolated "
    f"linearly between its own rows, at the steps of all of them or at {GRID:,} equal distances. A mean begins "
    "where the last run begins and ends where the first run ends, so that it is over the same runs everywhere. "
    "Dotted lines are runs that are in no statistic. A group of one run shows that run; its band, if any, is what "
    "the run itself logged: the 95 % interval over episodes. Long lines are thinned, with the extremes of every "
    "stretch kept. Wall-clock time includes the time until a run was resumed."
)


@dataclass(frozen=True)
class Band:
    """Mean over seeds along an axis, `(points,)` each; `low` to `high` is its 95 % interval at each point."""

    at: Array
    mean: Array
    low: Array
    high: Array


def band(seeds: Sequence[Series], *, clock: bool = False) -> Band | None:
    """Return the band of two or more seeds over their own axis, or over seconds for `clock`; None where their ranges do
    not overlap."""
    places = [one.seconds if clock else one.at for one in seeds]
    if clock:
        # The clock of a resumed or forked run may have been set back, but interpolation needs rising values.
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
    """All steps of all seeds between start and end where they are few, else points at equal distances."""
    every = np.unique(np.concatenate([place[(place >= start) & (place <= end)] for place in places]))
    return every if len(every) <= GRID else np.linspace(start, end, GRID)
