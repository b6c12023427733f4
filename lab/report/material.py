"""What a report is about: runs in groups over seeds, and groups in tasks, within which they compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from lab.console.wording import count
from lab.report.display import NONE
from lab.runs.counted import counted, unfit
from lab.runs.designs import kind
from lab.runs.fields import as_text, result_metric, value
from lab.runs.order import Direction, direction
from lab.runs.readings import figure, number
from lab.runs.select import Run, group

LABEL = 80  # characters of a name: what is longer says nothing more, and is a nuisance everywhere


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seeds, or in whatever the report was not asked to group by.

    Args:
        index: place in the report; with it goes the colour.
        label: what its runs have in common.
        runs: all of them, by their seeds.
        counted: those that statistics are made of: finished, in full, with a figure, each seed and config once.
        metric: the headline metric; None where no run has any.
        dataset: data set or environment of all runs.
        configs: how many different configs they have, seeds and machines aside.
    """

    index: int
    label: str
    runs: tuple[Run, ...]
    counted: tuple[Run, ...]
    metric: str | None
    dataset: str
    configs: int

    def counts(self, run: Run) -> bool:
        """Whether the statistics have this run in them."""
        return id(run) in self._counted

    @cached_property
    def _counted(self) -> frozenset[int]:
        return frozenset(map(id, self.counted))

    @property
    def scores(self) -> list[float]:
        """The headline metric of each run that counts."""
        return [score for run in self.counted if (score := figure(run, self.metric)) is not None]

    @property
    def reference(self) -> dict[str, Any]:
        """The published figure, from the newest run that has one; empty for none."""
        newest = sorted(self.runs, key=lambda run: run.record.run_id, reverse=True)
        references = (run.record.reference for run in newest)
        return next((found for found in references if number(found.get("value")) is not None), {})

    @property
    def left_out(self) -> str:
        """Which runs do not count, and why, in words; empty for none."""
        reasons = Counter(
            unfit(run, figure(run, self.metric)) or "repeated with the same seed"
            for run in self.runs
            if not self.counts(run)
        )
        return ", ".join(f"{count(n, 'run')} {reason}" for reason, n in reasons.items())


@dataclass(frozen=True)
class Task:
    """Groups that compare: they have the data set and the headline metric in common."""

    index: int
    dataset: str
    metric: str | None
    groups: tuple[Group, ...]

    @property
    def title(self) -> str:
        """Data set and metric."""
        return f"{self.dataset}: {self.metric}" if self.metric else self.dataset

    @property
    def direction(self) -> tuple[Direction, str]:
        """Whether more or less of the metric is better, and how that is known."""
        return direction(self.metric or "", [run for one in self.groups for run in one.runs])

    @property
    def references(self) -> list[tuple[dict[str, Any], list[Group]]]:
        """The published figures, and the groups that each is for."""
        found: list[tuple[dict[str, Any], list[Group]]] = []
        for one in self.groups:
            same = [of for reference, of in found if _published(reference) == _published(one.reference)]
            if one.reference and same:
                same[0].append(one)
            elif one.reference:
                found.append((one.reference, [one]))
        return found


def tasks_of(runs: Sequence[Run], names: Sequence[str] = ("experiment",)) -> list[Task]:
    """Group the runs by the fields called `names`, and the groups by what makes them comparable.

    Runs of one group that were measured on other data or by another headline metric become a group of their own.
    """
    found: dict[tuple[str, str | None], list[Group]] = {}
    split = [
        (key, dataset, metric, alike)
        for key, members in group(runs, names, value).items()
        for (dataset, metric), alike in _measured_alike(members).items()
    ]
    labels = [", ".join(_named(name, value) for name, value in zip(names, key, strict=True)) for key, *_ in split]
    for index, (label, (_, dataset, metric, alike)) in enumerate(zip(labels, split, strict=True)):
        twins = [(other, its) for named, (_, other, its, _) in zip(labels, split, strict=True) if named == label]
        apart = [dataset] if len({other for other, _ in twins}) > 1 else []
        apart += [metric] if metric and len({its for other, its in twins if other == dataset}) > 1 else []
        more = f" ({', '.join(apart)})" if apart else ""
        made = Group(
            index,
            short(label or "all runs", LABEL - len(short(more))) + short(more),
            tuple(sorted(alike, key=lambda run: (run.record.seed, run.record.run_id))),
            tuple(counted(alike, partial(figure, metric=metric))),
            metric,
            dataset,
            len({kind(run) for run in alike}),
        )
        found.setdefault((dataset, metric), []).append(made)
    return [Task(index, *key, tuple(groups)) for index, (key, groups) in enumerate(found.items())]


def short(text: str, most: int = LABEL) -> str:
    """The text, cut where it is much too long."""
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _measured_alike(runs: Iterable[Run]) -> dict[tuple[str, str | None], list[Run]]:
    """The runs by data set and headline metric: the reference's, else the first; a run that has no figures goes to
    those of its data set that have."""
    by_dataset: dict[str, list[Run]] = {}
    for run in runs:
        by_dataset.setdefault(short(str(run.record.dataset.get("name", "unknown data"))), []).append(run)
    found: dict[tuple[str, str | None], list[Run]] = {}
    for dataset, members in by_dataset.items():
        metrics = [result_metric(run) or None for run in members]
        usual = next((metric for metric, _ in Counter(metrics).most_common() if metric), None)
        for run, metric in zip(members, metrics, strict=True):
            found.setdefault((dataset, metric or usual), []).append(run)
    return found


def _published(reference: Mapping[str, Any]) -> list[Any]:
    return [reference.get(name) for name in ("value", "spread", "dataset", "protocol", "source")]


def _named(name: str, found: Any) -> str:
    """The experiment's name stands for itself; other fields say what they are."""
    return str(found) if name == "experiment" else f"{name}={as_text(found) or NONE}"
