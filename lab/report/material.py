"""What a report is about: runs in groups over seeds, and groups in tasks, within which they compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.report.display import NONE
from lab.runs.designs import by_repeat
from lab.runs.fields import as_text, result_metric, value
from lab.runs.groups import Group
from lab.runs.order import Direction, direction
from lab.runs.select import Run, group

LABEL = 80  # characters of a name in a report


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
    def runs(self) -> list[Run]:
        """All runs of the task's groups."""
        return [run for one in self.groups for run in one.runs]

    @property
    def direction(self) -> tuple[Direction, str]:
        """Whether more or less of the metric is better, and how that is known."""
        return direction(self.metric or "", self.runs)

    @property
    def references(self) -> list[tuple[dict[str, Any], list[Group]]]:
        """The published figures, each with the groups that it is for."""
        return _shared([(one.reference, one) for one in self.groups])

    @property
    def targets(self) -> list[tuple[dict[str, Any], list[Group]]]:
        """Our own targets, each with the groups that it is for."""
        return _shared([(one.target, one) for one in self.groups])


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
    for index, (label, (key, dataset, metric, alike)) in enumerate(zip(labels, split, strict=True)):
        twins = [(other, its) for named, (_, other, its, _) in zip(labels, split, strict=True) if named == label]
        apart = [dataset] if len({other for other, _ in twins}) > 1 else []
        apart += [metric] if metric and len({its for other, its in twins if other == dataset}) > 1 else []
        more = f" ({', '.join(apart)})" if apart else ""
        made = Group(
            tuple(sorted(alike, key=by_repeat)),
            label=short(label or "all runs", LABEL - len(short(more))) + short(more),
            key=dict(zip(names, key, strict=True)),
            wanted=metric,
            index=index,
        )
        found.setdefault((dataset, metric), []).append(made)
    return [Task(index, *key, tuple(groups)) for index, (key, groups) in enumerate(found.items())]


def short(text: str, most: int = LABEL) -> str:
    """Return the text, cut where it is too long."""
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _measured_alike(runs: Iterable[Run]) -> dict[tuple[str, str | None], list[Run]]:
    """The runs by data set and headline metric. A run without figures goes to those of its data set that have some."""
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


def _shared(standards: Sequence[tuple[dict[str, Any], Group]]) -> list[tuple[dict[str, Any], list[Group]]]:
    """The different published figures or targets, each with its groups."""
    found: list[tuple[dict[str, Any], list[Group]]] = []
    for standard, one in standards:
        same = [groups for other, groups in found if _identity(other) == _identity(standard)]
        if standard and same:
            same[0].append(one)
        elif standard:
            found.append((standard, [one]))
    return found


def _identity(standard: Mapping[str, Any]) -> list[Any]:
    return [standard.get(name) for name in ("value", "spread", "dataset", "protocol", "source", "why")]


def _named(name: str, found: Any) -> str:
    """The experiment's name stands for itself; other fields say what they are."""
    return str(found) if name == "experiment" else f"{name}={as_text(found) or NONE}"
