"""A group of runs held against a figure: a published one, or our own target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from lab.console.wording import count, shown
from lab.runs.groups import Group
from lab.runs.readings import figure, number
from lab.runs.select import Run


@dataclass(frozen=True, eq=False)
class Claim:
    """That a group met a figure, or missed it.

    Args:
        group: the runs, with their figures under the metric that is judged.
        kind: whether the figure is published (`reference`) or our own (`target`).
    """

    group: Group
    kind: Literal["reference", "target"]

    @classmethod
    def of(cls, group: Group) -> Iterator[Claim]:
        """Yield the group's claims: on its published figure and on its target."""
        if group.reference:
            yield cls(group, "reference")
        if group.target:
            metric = group.target.get("metric", group.metric)
            yield cls(group if metric == group.metric else Group(group.runs, group.label, wanted=metric), "target")

    @cached_property
    def standard(self) -> Mapping[str, Any]:
        """The figure with its metric, direction and tolerance."""
        return self.group.reference if self.kind == "reference" else self.group.target

    def verdict_of(self, run: Run) -> str:
        """Return a run's own verdict."""
        return run.record.verdict if self.kind == "reference" else run.record.target_verdict

    def has_verdict(self, run: Run) -> bool:
        """Return whether a run met or missed the figure."""
        return self.verdict_of(run) in ("met", "missed")

    @cached_property
    def judged(self) -> list[Run]:
        """The runs that count and have a verdict."""
        return [run for run in self.group.counted if self.has_verdict(run)]

    @cached_property
    def scores(self) -> list[float]:
        """Their figures."""
        return [score for run in self.judged if (score := figure(run, self.group.metric)) is not None]

    @property
    def met(self) -> int:
        """How many of them met the figure."""
        return sum(self.verdict_of(run) == "met" for run in self.judged)

    @property
    def value(self) -> float:
        """The figure's value."""
        return float(self.standard["value"])

    @property
    def tolerance(self) -> float:
        """How far on the wrong side of the value still counts as met."""
        return number(self.standard.get("tolerance")) or 0.0

    @property
    def told(self) -> str:
        """The figure in words: `published 500 from 1 run`, with the number of runs where it is known; `target 500`."""
        if self.kind == "target":
            return f"target {shown(self.value)}"
        behind = number(self.standard.get("n"))
        return f"published {shown(self.value)}" + (f" from {count(int(behind), 'run')}" if behind else "")

    @property
    def called(self) -> str:
        """What the figure is called in a sentence: `the published figure` or `the target`."""
        return "the target" if self.kind == "target" else "the published figure"

    @property
    def bar(self) -> float:
        """The worst figure that counts as met."""
        return self.value + self.tolerance * (1 if self.standard.get("direction") == "min" else -1)

    def short_of(self, score: float) -> float:
        """Return how far a figure is on the wrong side of the value; negative on the right side."""
        return score - self.value if self.standard.get("direction") == "min" else self.value - score

    def meets(self, score: float) -> bool:
        """Return whether a figure counts as met."""
        return self.short_of(score) <= self.tolerance
