"""Runs side by side in groups: what each came to over its seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lab.runs.counted import counted
from lab.runs.fields import result_metric, value
from lab.runs.order import sorted_by
from lab.runs.readings import number
from lab.runs.select import Run, group
from lab.statistics import Spread, interquartile_mean, spread
from lab.system.disk import disk

FAST = "fast_dev_run"


@dataclass(frozen=True)
class Group:
    """Runs that have the same under the fields they are grouped by.

    Args:
        key: what they have, by field.
        runs: one at least. Fast-dev runs are never among others: their figures mean nothing.
        metric: what is averaged; the one that says how these runs did for None.
    """

    key: dict[str, Any]
    runs: list[Run]
    wanted: str | None = None

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that say how the runs did: figures are only given for one."""
        names = [self.wanted] if self.wanted else [name for run in self.runs if (name := result_metric(run))]
        return list(dict.fromkeys(names))

    @property
    def fast_dev(self) -> bool:
        """Whether these are fast-dev runs."""
        return self.runs[0].record.fast_dev_run

    @property
    def seeds(self) -> list[int]:
        """Seeds of the runs."""
        return [run.record.seed for run in self.runs]

    @cached_property
    def counted(self) -> list[Run]:
        """The runs that the figures are of, as in a report: of a repeated seed it is the newest."""
        return counted(self.runs, self._figure) if len(self.metrics) == 1 else []

    @property
    def values(self) -> list[float]:
        """The figures of the runs that count."""
        return [score for run in self.counted if (score := self._figure(run)) is not None]

    @property
    def spread(self) -> Spread | None:
        """Mean with its 95 % interval, and more; None without a figure."""
        return spread(self.values) if self.values else None

    @property
    def interquartile_mean(self) -> float | None:
        """Mean of the middle half; None without a figure."""
        return interquartile_mean(self.values) if self.values else None

    @property
    def disk(self) -> int:
        """Bytes that all of the runs take."""
        return sum(disk(run.record.dir) for run in self.runs)

    def _figure(self, run: Run) -> float | None:
        return number(value(run, self.metrics[0]))


def by_column(found: Sequence[Group], name: str, *, downwards: bool) -> list[Group]:
    """Return groups by one of `COLUMNS`; those that have nothing there come last."""
    return sorted_by(found, COLUMNS[name], downwards=downwards)


COLUMNS: dict[str, Callable[[Group], Any]] = {
    "runs": lambda one: len(one.runs),
    "mean": lambda one: one.spread and one.spread.mean,
    "interquartile mean": lambda one: one.interquartile_mean,
    "disk": lambda one: one.disk,
}
"""Figures of a group by which groups can be sorted."""


def groups(runs: Sequence[Run], names: Sequence[str], metric: str | None = None) -> list[Group]:
    """Return the runs by what they have under `names`, in the order in which the groups first appear."""
    found = group(runs, [*names, FAST], value)
    return [Group(dict(zip(names, key, strict=False)), members, metric) for key, members in found.items()]
