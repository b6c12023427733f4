"""The figures in the tables of a report: of each group, and of pairs of groups."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lab.report.display import mapping
from lab.report.material import Task
from lab.runs.groups import Group
from lab.runs.readings import number
from lab.statistics import (
    Improvement,
    Spread,
    bootstrap_interval,
    interquartile_mean,
    probability_of_improvement,
    spread,
)

MOST_PAIRS = 30  # of one task


@dataclass(frozen=True)
class Score:
    """The figures of a group. Statistics are None where no run counts, intervals where only one counts.

    Args:
        spread: mean with its 95 % interval, extremes, number of runs.
        middle: interquartile mean, with its bootstrap interval.
        verdicts: how many of the runs that count have each verdict on the published figure.
        target_verdicts: the same for the target; empty where there is none.
        train: mean seconds of training of the runs that count.
        speed: their mean throughput, in `unit`.
    """

    group: Group
    spread: Spread | None
    middle: float | None
    middle_interval: tuple[float, float] | None
    verdicts: Counter[str]
    target_verdicts: Counter[str]
    train: float | None
    speed: float | None
    unit: str


@dataclass(frozen=True)
class Pair:
    """Two groups of a task; `improvement` is the probability that a run of `a` is better than one of `b`."""

    a: Group
    b: Group
    improvement: Improvement


def score(group: Group) -> Score:
    """Return a group's figures."""
    scores = group.scores
    records = [run.record for run in group.counted]
    trained = [seconds for one in records if (seconds := number(one.durations.get("train"))) is not None]
    speeds = [mapping(one.throughput) for one in records]
    units = {str(speed.get("unit", "")) for speed in speeds if speed}
    rates = [value for speed in speeds if (value := number(speed.get("value"))) is not None]
    return Score(
        group,
        spread(scores) if scores else None,
        interquartile_mean(scores) if scores else None,
        bootstrap_interval(scores, interquartile_mean) if scores else None,
        Counter(record.verdict for record in records),
        Counter(record.target_verdict for record in records if record.target),
        float(np.mean(trained)) if trained else None,
        float(np.mean(rates)) if rates and len(units) == 1 else None,
        units.pop() if len(units) == 1 else "",
    )


def pairs(task: Task) -> list[Pair]:
    """Return the comparisons between groups of a task that have figures: all pairs, or where these are too many, the
    group with the best mean against each of the others."""
    scored = [group for group in task.groups if group.scores]
    way = task.direction[0]
    if len(scored) * (len(scored) - 1) // 2 > MOST_PAIRS:
        best = (max if way == "max" else min)(scored, key=lambda group: np.mean(group.scores))
        chosen = [(best, other) for other in scored if other is not best]
    else:
        chosen = list(combinations(scored, 2))
    return [Pair(a, b, probability_of_improvement(a.scores, b.scores, direction=way)) for a, b in chosen]
