"""The charts of the page: curves by task and metric, thinned."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.console.wording import count
from lab.report.figures.bands import band
from lab.report.figures.curves import Array, Curves, Series
from lab.report.figures.thinning import thin
from lab.report.material import Task, short
from lab.runs.groups import Group
from lab.runs.select import Run

MOST_NUMBERS = 2_000_000  # of all curves of a page together, 5.3 bytes each
FEWEST_POINTS, MOST_POINTS = 24, 600  # of one line
MOST_CHARTS = 150  # of one task

Spec = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """One metric of a task.

    Args:
        key: of the page's element.
        metric: its name, as logged.
        title: what it is called on the page.
        axis: what its rows count; a metric that runs logged on different axes has a chart for each.
        seeds: the curves of single runs, with the place of their run in the report.
        bands: the seeds of each group of two or more that a mean is drawn of.
    """

    key: str
    metric: str
    title: str
    axis: str
    seeds: tuple[tuple[int, Group, Run, Series], ...]
    bands: tuple[tuple[Group, tuple[Series, ...]], ...]

    @property
    def section(self) -> str:
        """What stands before the metric's first slash."""
        return short(self.metric.partition("/")[0]) if "/" in self.metric else ""


def charts_of(task: Task, curves: Sequence[Curves], places: Mapping[int, int]) -> tuple[list[Chart], str]:
    """Return the charts of a task, the headline metric's first, and what was left out in words.

    `curves` are by the place of their run on the page, `places` by the `id` of those runs that the page shows.
    """
    members = [
        (places[id(run)], group, run) for group in task.groups for run in _worth_a_line(group) if id(run) in places
    ]
    found: dict[tuple[str, str], list[tuple[int, Group, Run, Series]]] = {}
    for place, group, run in members:
        for name, series in curves[place].series.items():
            found.setdefault((name, series.axis), []).append((place, group, run, series))
    names = {name for name, _ in found}
    inner = {name for name in names if name.endswith(("_low", "_high")) and f"{name.rpartition('_')[0]}_mean" in names}
    ordered = sorted((key for key in found if key[0] not in inner), key=lambda key: _rank(key[0], task.metric))
    made = []
    for number, (name, axis) in enumerate(ordered[:MOST_CHARTS]):
        seeds = tuple(found[name, axis])
        made.append(
            Chart(
                f"curve-{task.index}-{number}",
                name,
                short(name) + (f" by {short(axis)}" if next(a for n, a in found if n == name) != axis else ""),
                short(axis),
                seeds,
                tuple((group, mean) for group in task.groups if len(mean := _averaged(group, seeds)) > 1),
            )
        )
    left = len(ordered) - len(made)
    return made, f"{count(left, 'further metric')} left out: a page shows {MOST_CHARTS} of a task" if left > 0 else ""


def points_for(charts: Sequence[Chart]) -> int:
    """Return how many points a line may have so that all charts of a page stay within bounds."""
    cost = sum(3 * len(chart.seeds) + 16 * len(chart.bands) for chart in charts)
    return int(min(MOST_POINTS, max(FEWEST_POINTS, MOST_NUMBERS / max(cost, 1))))


def spec(chart: Chart, curves: Sequence[Curves], points: int) -> Spec:
    """Return a chart for the page's script. A band has twice the points: it stands for several lines."""
    lines: list[Spec] = []
    for place, group, run, series in chart.seeds:
        line: Spec = {"run": place, "group": group.index, "counted": group.counts(run)}
        low, high = (_own(chart.metric, end, curves[place], series) for end in ("low", "high"))
        if low is None or high is None:
            kept = thin(points, series.values)
        else:
            kept = thin(points, series.values, low, high)
            line |= {"low": packed(low[kept]), "high": packed(high[kept])}
        steps, seconds, values = series.at[kept], series.seconds[kept], series.values[kept]
        lines.append(line | {"steps": packed(steps), "time": packed(seconds), "y": packed(values)})
    means: list[Spec] = []
    for group, seeds in chart.bands:
        drawn: Spec = {"group": group.index, "n": len(seeds)}
        for name in ("steps", "time"):
            if found := band(seeds, clock=name == "time"):
                kept = thin(2 * points, found.mean, found.low, found.high)
                parts = {"x": found.at, "y": found.mean, "low": found.low, "high": found.high}
                drawn[name] = {part: packed(values[kept]) for part, values in parts.items()}
        means.append(drawn)
    return {"axis": chart.axis, "lines": lines, "means": means}


def packed(values: Array) -> Spec:
    """The numbers as Plotly reads them from text, in single precision."""
    with np.errstate(over="ignore"):
        return {"dtype": "f4", "bdata": base64.b64encode(values.astype("<f4").tobytes()).decode()}


def _worth_a_line(group: Group) -> list[Run]:
    """Fast-dev runs are drawn only where there are no others: they only show that everything works."""
    return [run for run in group.runs if not run.record.fast_dev_run] or list(group.runs)


def _averaged(group: Group, seeds: Sequence[tuple[int, Group, Run, Series]]) -> tuple[Series, ...]:
    """The group's series that a mean is over: those of the runs that count, or of all runs if none has ended yet."""
    of_group = [(run, series) for _, one, run, series in seeds if one is group]
    counted = [series for run, series in of_group if group.counts(run)]
    return tuple(counted if group.counted else [series for _, series in of_group])


def _own(metric: str, end: str, curves: Curves, series: Series) -> Array | None:
    """The interval that the run itself logged beside a mean."""
    found = curves.series.get(f"{metric.removesuffix('_mean')}_{end}") if metric.endswith("_mean") else None
    same = found is not None and found.axis == series.axis and np.array_equal(found.at, series.at)
    return found.values if found and same else None


def _rank(name: str, headline: str | None) -> int:
    """The headline metric first, what is called like it elsewhere next, then its neighbours, speed last."""
    section, _, leaf = name.rpartition("/")
    wanted, _, wanted_leaf = (headline or "").rpartition("/")
    if name == headline:
        return 0
    if leaf == wanted_leaf and section != "train":
        return 1
    if section in (wanted, "val", "eval"):
        return 2
    return 9 if section in ("speed", "time") else {"rollout": 3, "samples": 3, "train": 4}.get(section, 5)
