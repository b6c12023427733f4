"""Questions to what the seeds of a group have in common: whether some succeed and some fail, or one stands alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.console.wording import count, plural, ranges, shown, told
from lab.report.review.findings import Case, Finding, fold, mean_with_interval
from lab.report.review.replicates import Evidence, Replicates
from lab.runs.readings import noise
from lab.statistics import outliers, spread, widest_gap

SEEDS = 3
EPISODES = 2.0  # a gap is none of noise if wider than so many deviations of a run's episodes,
SIDE = 3.0  # and so many times as wide as the scores on either side of it lie
BLIND_SEEDS, BLIND_SIDE = 5, 5.0  # where no deviation is known: one in a hundred normal samples has such a gap


def two_outcomes(evidence: Evidence) -> Iterator[Finding]:
    """Seeds of which some succeed and some fail, so that no seed is like their mean."""
    cases = []
    for group in evidence.groups:
        if (below := two_kinds(group)) is not None:
            ordered = sorted(group.scores, key=lambda seed: group.scores[seed])
            sides = f"{_side(ordered[:below], group)} and {_side(ordered[below:], group)}"
            against = f" ({group.published}, met on {count(group.met, 'seed')})" if group.judged else ""
            text = f"{group.label}, {group.metric} {sides}{against}"
            cases.append(Case(text, list(group.counted.values()), group.more_seeds(10)))
    yield from fold(
        "two-outcomes",
        "minor",
        "some seeds succeed, some fail",
        cases,
        why="The gap is wider than noise would make it, and the mean is like no seed: say how many of how many succeed",
    )


def outlying_seeds(evidence: Evidence) -> Iterator[Finding]:
    """Seeds that do not belong to the others of their group."""
    cases = []
    for group in evidence.groups:
        if len(group.scores) >= SEEDS and two_kinds(group) is None and (far := _outliers(group)):
            others = [score for seed, score in group.scores.items() if seed not in far]
            runs = [group.counted[seed] for seed in far]
            text = (
                f"{group.label}, {group.metric} {told({seed: group.scores[seed] for seed in far})}, where the other "
                f"{len(others)} have {mean_with_interval(others)}"
            )
            cases.append(Case(text, runs))
    yield from fold(
        "outlier",
        "minor",
        "a seed far from the others",
        cases,
        why="By Grubbs' test at 1 % it does not belong to them. It may be the method's, or the fault of that run",
        remedy="look at its curves beside theirs, and keep it in the mean unless a fault is found",
    )


def two_kinds(group: Replicates) -> int | None:
    """How many of a group's sorted scores lie under a gap that is none of noise; None where there is no such gap."""
    deviations = [known for run in group.counted.values() if (known := noise(run, group.metric)) is not None]
    return parted(list(group.scores.values()), deviations)


def parted(scores: Sequence[float], deviations: Sequence[float]) -> int | None:
    """How many of three or more scores lie under a gap that is none of noise; None where there is no such gap.

    It is wider than two deviations of any run's episodes, and than three times the range of the scores on either side.
    Where not all runs have a deviation, it is wider than five times that range, with two scores or more on both sides
    of five or more.
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


def _outliers(group: Replicates) -> list[int]:
    """Seeds of outliers that are further from the others than their own episodes are from each other."""
    found = []
    for place in outliers(list(group.scores.values())):
        seed = list(group.scores)[place]
        others = spread([score for other, score in group.scores.items() if other != seed])
        if abs(group.scores[seed] - others.mean) > (noise(group.counted[seed], group.metric) or 0.0):
            found.append(seed)
    return found


def _side(seeds: Sequence[int], group: Replicates) -> str:
    values = [group.scores[seed] for seed in seeds]
    span = shown(values[0]) if len(seeds) == 1 else f"{shown(values[0])} to {shown(values[-1])}"
    return f"{span} on {plural('seed', len(seeds))} {ranges(seeds)}"
