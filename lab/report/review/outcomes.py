"""Questions about the seeds of a group: whether some succeed and some fail, and whether one differs from the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.console.wording import count, plural, ranges, shown, some
from lab.report.review.claim import Claim
from lab.report.review.commands import more_repeats
from lab.report.review.evidence import Evidence
from lab.report.review.findings import Case, mean_with_interval, question
from lab.runs.designs import repeat
from lab.runs.groups import Group
from lab.runs.readings import noise
from lab.runs.select import Run
from lab.statistics import outliers, spread, widest_gap

SEEDS = 3
EPISODES = 2.0  # a gap is not noise if it is wider than so many deviations of a run's episodes,
SIDE = 3.0  # and so many times as wide as the range of the scores on either side of it
BLIND_SEEDS, BLIND_SIDE = 5, 5.0  # where no deviation is known: one in a hundred normal samples has such a gap


@question(
    "two-outcomes",
    "some seeds succeed, some fail",
    "minor",
    why="The gap between them is wider than noise would make it, and no seed is like the mean: say how many succeed",
)
def two_outcomes(evidence: Evidence) -> Iterator[Case]:
    """Groups whose seeds have one of two outcomes."""
    for group in evidence.groups:
        if (below := two_kinds(group)) is not None:
            ordered = sorted(group.counted, key=lambda run: group.figure(run) or 0.0)
            sides = f"{_side(ordered[:below], group)} and {_side(ordered[below:], group)}"
            claims = [claim for claim in Claim.of(group) if claim.judged]
            judged = [f"{claim.told}, met on {count(claim.met, group.unit)}" for claim in claims]
            against = f" ({'; '.join(judged)})" if judged else ""
            yield Case(f"{group.label}, {group.metric} {sides}{against}", group.counted, more_repeats(group, 10))


@question(
    "outlier",
    "a seed far from the others",
    "minor",
    why="It is an outlier by Grubbs' test at 1 %. The cause may be the method, or a fault of that run",
    remedy="compare its curves with theirs, and keep it in the mean unless you find a fault",
)
def outlying_seeds(evidence: Evidence) -> Iterator[Case]:
    """Seeds that do not belong to the others of their group."""
    for group in evidence.groups:
        if len(group.scores) >= SEEDS and two_kinds(group) is None and (far := _outliers(group)):
            runs = [group.counted[at] for at in far]
            others = [score for at, score in enumerate(group.scores) if at not in far]
            text = (
                f"{group.label}, {group.metric} {group.told(runs)}, where the other {len(others)} have "
                f"{mean_with_interval(others)}"
            )
            yield Case(text, runs)


def two_kinds(group: Group) -> int | None:
    """Return how many of a group's sorted scores lie below a gap that is not noise; None where there is no such gap."""
    deviations = [known for run in group.counted if (known := noise(run, group.metric)) is not None]
    return parted(group.scores, deviations)


def parted(scores: Sequence[float], deviations: Sequence[float]) -> int | None:
    """Return how many of three or more scores lie below a gap that is not noise; None where there is no such gap.

    The gap is wider than two deviations of any run's episodes, and than three times the range of the scores on either
    side. Where not all runs have a deviation, it is wider than five times that range, with at least two of at least
    five scores on each side.
    """
    if len(scores) < SEEDS:
        return None
    gap = widest_gap(scores)
    if len(deviations) == len(scores):
        found = gap.width > max(EPISODES * max(deviations), SIDE * gap.side)
    else:
        fewer = min(gap.below, len(scores) - gap.below)
        found = len(scores) >= BLIND_SEEDS and fewer >= 2 and gap.width > BLIND_SIDE * gap.side
    return gap.below if found else None


def _outliers(group: Group) -> list[int]:
    """Indices of outliers that are further from the others than their own episodes are from each other."""
    found = []
    for at in outliers(group.scores):
        others = spread([score for other, score in enumerate(group.scores) if other != at])
        if abs(group.scores[at] - others.mean) > (noise(group.counted[at], group.metric) or 0.0):
            found.append(at)
    return found


def _side(runs: Sequence[Run], group: Group) -> str:
    """The range of the runs' figures, and which repeats they are."""
    span = " to ".join(dict.fromkeys(shown(group.figure(run)) for run in (runs[0], runs[-1])))
    which = [one for run in runs if isinstance(one := dict(repeat(run)).get(group.varied[0]), int)]
    if group.unit == "run" or len(which) < len(runs):
        return f"{span} on {some(list(map(group.called, runs)), '; ')}"
    return f"{span} on {plural(group.unit, len(runs))} {ranges(which)}"
