"""Devices, seconds by stage, speed, and the parts of a training step's time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.report.display import mapping
from lab.report.figures.curves import Curves
from lab.runs.groups import Group
from lab.runs.readings import number
from lab.runs.select import Run

ALL, PART = "speed/all", "speed/"


@dataclass(frozen=True)
class Cost:
    """The time of one run: `stages` are seconds by name, `speed` is its throughput in `unit`."""

    run: Run
    stages: dict[str, float]
    speed: float | None
    unit: str


@dataclass(frozen=True)
class Shares:
    """Parts of a training step's time by name, as fractions, averaged over a group's runs."""

    group: Group
    parts: dict[str, float]


def cost(run: Run) -> Cost:
    """Return the time of a run, from its summary."""
    stages = {name: seconds for name, value in run.record.durations.items() if (seconds := number(value)) is not None}
    speed = mapping(run.record.throughput)
    return Cost(run, stages, number(speed.get("value")), str(speed.get("unit", "")))


def shares(group: Group, curves: Sequence[Curves]) -> Shares | None:
    """Return the parts of the training time, from the metrics `speed/PART`; None where no run has any.

    `speed/PART` is the speed that there would be if the other parts took no time: a step takes 1 / `speed/PART` s.
    `curves` are those of the group's runs.
    """
    found: list[dict[str, float]] = []
    for one in curves:
        seconds = {
            name.removeprefix(PART): float(np.mean(1 / series.values))
            for name, series in one.series.items()
            if name.startswith(PART) and name != ALL and (series.values > 0).all()
        }
        if total := sum(seconds.values()):
            found.append({name: spent / total for name, spent in seconds.items()})
    names = dict.fromkeys(name for one in found for name in one)
    parts = {name: float(np.mean([one.get(name, 0.0) for one in found])) for name in names}
    return Shares(group, dict(sorted(parts.items(), key=lambda part: -part[1]))) if parts else None
