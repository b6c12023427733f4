"""The sections of the page, one per task, and the data for its scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.report.display import mapping
from lab.report.figures.charts import Chart
from lab.report.material import Task
from lab.report.page.gallery import Shots
from lab.report.page.runs import RunView
from lab.report.page.scores import Pair, Score
from lab.report.review.findings import Finding
from lab.runs.groups import Group
from lab.runs.readings import number

COLOURS = 8
SETTLE = " To settle it: "
DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Section:
    """A task with all that its section of the page shows.

    Args:
        left_out: what is not shown of the charts, in words; empty for nothing.
        shots: its media.
        names: what tells the runs that have media from others of their groups, as `seed 0`.
        missing: what is not shown of them, in words.
        shared: whether another task has the same data set.
    """

    task: Task
    scores: list[Score]
    pairs: list[Pair]
    charts: list[Chart]
    left_out: str
    shots: list[Shots]
    names: list[str]
    missing: str
    shared: bool

    @property
    def media(self) -> list[tuple[str, list[Shots]]]:
        """Media by name, in the order in which the names were first logged."""
        found: dict[str, list[Shots]] = {}
        for one in self.shots:
            found.setdefault(one.name, []).append(one)
        return list(found.items())

    @property
    def by_prefix(self) -> list[tuple[str, list[Chart]]]:
        """Charts by what stands before their metric's slash, in order."""
        found: dict[str, list[Chart]] = {}
        for chart in self.charts:
            found.setdefault(chart.section, []).append(chart)
        return list(found.items())

    @property
    def description(self) -> str:
        """What the headline metric means, as the runs say."""
        runs = [run for group in self.task.groups for run in group.runs]
        found = (mapping(run.record.descriptions).get(str(self.task.metric)) for run in runs)
        return next((text for text in found if isinstance(text, str)), "").rstrip(".")

    @property
    def worth_a_strip(self) -> bool:
        """Whether there are several figures to compare."""
        return sum(one.spread.n for one in self.scores if one.spread) > 1

    @property
    def scored(self) -> int:
        """How many groups have a figure."""
        return sum(one.spread is not None for one in self.scores)


@dataclass(frozen=True)
class FindingView:
    """A finding with the runs of the page that it is about."""

    finding: Finding
    runs: list[RunView]

    @classmethod
    def of(cls, finding: Finding, views: Sequence[RunView]) -> FindingView:
        """Return the finding with those of all the page's runs that it names."""
        named = set(finding.runs)
        return cls(finding, [one for one in views if one.run.record.run_id in named])

    @property
    def paragraphs(self) -> list[str]:
        """The finding and what would settle it, with commands in backticks."""
        found, _, remedy = self.finding.text.partition(SETTLE)
        return [found, f"{SETTLE.strip()} {remedy}"] if remedy else [found]

    @property
    def by_group(self) -> list[tuple[Group, list[RunView]]]:
        """The runs by their groups."""
        groups: dict[int, list[RunView]] = {}
        for one in self.runs:
            groups.setdefault(one.group.index, []).append(one)
        return [(members[0].group, members) for members in groups.values()]

    @property
    def places(self) -> str:
        """Places of the runs, as the page's scripts read them."""
        return " ".join(str(one.place) for one in self.runs)


def colours(tasks: Sequence[Task]) -> dict[int, tuple[int, str]]:
    """Return colour and dash of each group by its index. Groups of one task have different colours while these last."""
    used: Counter[int] = Counter()
    found: dict[int, tuple[int, str]] = {}
    for task in tasks:
        here: Counter[int] = Counter()
        for group in task.groups:
            colour = min(range(COLOURS), key=lambda one: (here[one], used[one], one))
            found[group.index] = (colour, DASHES[here[colour] % len(DASHES)])
            here[colour] += 1
            used[colour] += 1
    return found


def index(tasks: Sequence[Task], views: Sequence[RunView]) -> dict[str, Any]:
    """Return the data of runs and groups for filters and charts."""
    given = colours(tasks)
    groups = {group.index: group for task in tasks for group in task.groups}
    return {
        "runs": [
            {
                "id": one.run.record.run_id,
                "group": one.group.index,
                "seed": one.run.record.seed,
                "name": one.name,
                "status": one.run.status,
                "verdict": one.run.record.verdict,
                "text": one.search,
            }
            for one in views
        ],
        "groups": [
            {"label": groups[at].label, "colour": given[at][0], "dash": given[at][1]} for at in range(len(groups))
        ],
    }


def strip(task: Task, found: Sequence[Score], places: Mapping[int, int]) -> dict[str, Any]:
    """Return each seed's headline figure and each group's mean, with the published figure for the same data and the
    target."""
    rows = []
    for one in found:
        if one.spread is None:
            continue
        shown = [
            (places[id(run)], score)
            for run, score in zip(one.group.counted, one.group.scores, strict=True)
            if id(run) in places
        ]
        published = one.group.reference if one.group.reference.get("dataset") == task.dataset else {}
        target = one.group.target if one.group.target.get("metric") == task.metric else {}
        rows.append(
            {
                "group": one.group.index,
                "runs": [place for place, _ in shown],
                "scores": [score for _, score in shown],
                "mean": one.spread.mean,
                "reach": None if one.spread.high is None else one.spread.high - one.spread.mean,
                "published": number(published.get("value")),
                "spread": number(published.get("spread")),
                "target": number(target.get("value")),
            }
        )
    return {"metric": task.metric, "rows": rows}
