"""Questions to what a set of runs claims: whether its seeds carry the verdict on the published figure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from scipy.special import stdtrit

from lab.console.wording import count, shown, told
from lab.report.review.findings import Case, Finding, fold, mean_with_interval
from lab.report.review.outcomes import two_kinds
from lab.report.review.replicates import Evidence, Replicates, place
from lab.runs.readings import episodes_of, noise
from lab.runs.select import Run
from lab.statistics import spread

SEEDS = 3  # fewer have no interval worth the name
MOST_SEEDS = 30  # what anybody would run to tell two figures apart
MOST_EPISODES = 100_000
REASON = 200  # letters


def few_seeds(evidence: Evidence) -> Iterator[Finding]:
    """A verdict on fewer than three different seeds."""
    judged = [group for group in evidence.groups if group.judged]
    cases = []
    for group in judged:
        if len(group.judged) >= SEEDS:
            continue
        runs = [run for run in group.runs if run.record.verdict in ("met", "missed")]
        twice = f", from {len(runs)} runs" if len(runs) > len(group.judged) else ""
        verdicts = " and ".join(dict.fromkeys(run.record.verdict for run in group.judged.values()))
        text = f"{group.label} {verdicts} with {told(group.judged_scores)}{twice} ({group.published})"
        cases.append(Case(text, runs, group.more_seeds()))
    yield from fold(
        "few-seeds",
        "major",
        "fewer than three seeds",
        cases,
        intro=f"{len(cases)} of {count(len(judged), 'verdict')} on one seed or two: ",
        why="How far from that other seeds would be, nobody knows",
    )


def verdict_of_some(evidence: Evidence) -> Iterator[Finding]:
    """A verdict that is not the same on every seed, and a mean whose verdict is that of one seed against the others."""
    split, carried = [], []
    for group in evidence.groups:
        scores, runs = group.judged_scores, list(group.judged.values())
        if len(scores) < SEEDS or not 0 < group.met < len(scores) or two_kinds(group) is not None:
            continue
        meets = group.meets(spread(list(scores.values())).mean)
        text = (
            f"{group.label} met on {group.met} of {len(scores)} seeds ({told(scores)}; {group.published}); the mean "
            f"{mean_with_interval(scores.values())} {'meets' if meets else 'misses'} it"
        )
        if (one := _carrier(group)) is not None:
            rest = f"{mean_with_interval(_without(one, scores))} {'misses' if meets else 'meets'} it"
            carried.append(Case(f"{text}, and without seed {one} {rest}", runs, group.more_seeds(10)))
        elif not _unsure_of_its_seeds(group):  # else another question says as much
            split.append(Case(text, runs))
    yield from fold(
        "one-seed-carries",
        "major",
        "one seed carries the mean",
        carried,
        why="The others alone say the opposite: what one lucky or unlucky seed decides is no property of the method",
    )
    yield from fold(
        "verdict-by-seed",
        "minor",
        "the verdict depends on the seed",
        split,
        why="Each run's own verdict is that of its seed",
        remedy="report the mean over all seeds with its interval, and no single run",
    )


def too_close(evidence: Evidence) -> Iterator[Finding]:
    """A distance to the published figure that is smaller than what the runs can tell: over seeds where there are three,
    else over the episodes of each run. Where some seeds succeed and some fail, another question is asked."""
    cases: list[Case] = []
    for group in evidence.groups:
        if len(group.judged) < SEEDS:
            cases += [case for seed in group.judged for case in _unsure_of_its_episodes(group, seed)]
        else:
            cases += _unsure_of_its_seeds(group)
    yield from fold(
        "too-close",
        "minor",
        "too close to the published figure to tell",
        cases,
        why="The 95 % interval of the mean holds the published figure: met or missed, it may be chance",
    )


def not_comparable(evidence: Evidence) -> Iterator[Finding]:
    """Runs that have a published figure beside them, and no verdict on it."""
    cases = []
    for group in evidence.groups:
        reasons: dict[str, list[Run]] = {}
        for run in group.counted.values():
            if run.record.verdict == "not-comparable":
                reason = shown(run.record.reference.get("reason") or "no reason given", longest=REASON)
                reasons.setdefault(reason, []).append(run)
        cases += [Case(f"{group.label}, {count(len(runs), 'run')}: {why}", runs) for why, runs in reasons.items()]
    yield from fold(
        "not-comparable",
        "minor",
        "not comparable with the published figure",
        cases,
        why="They neither met nor missed it, so that nothing says how good they are",
        remedy="do not set them beside it; name one in `reference` that was published for this task and protocol",
    )


def met_by_tolerance(evidence: Evidence) -> Iterator[Finding]:
    """`met`, though all of the interval of the mean is on the wrong side of the published figure."""
    cases = []
    for group in evidence.groups:
        if not (scores := list(group.judged_scores.values())):
            continue
        found = spread(scores)
        if 0 < group.short_of(found.mean) <= group.tolerance and not _contains(scores, group.value):
            text = (
                f"{group.label}: {mean_with_interval(scores)} over {count(found.n, 'seed')}, {group.published}, "
                f"tolerance {shown(group.tolerance)}"
            )
            cases.append(Case(text, list(group.judged.values())))
    yield from fold(
        "met-by-tolerance",
        "minor",
        "met by the tolerance alone",
        cases,
        why="As good as the published figure it is not",
        remedy="give the reason for the tolerance in `reference.protocol`, or set it to 0",
    )


def _carrier(group: Replicates) -> int | None:
    """The one seed that makes the verdict of a mean over three or more: without it, and without no other, the mean has
    the opposite verdict, and its interval does not hold the bar. None where there is no such seed.

    The interval of all seeds would not do: it holds the bar whenever one seed less turns the verdict.
    """
    scores = group.judged_scores
    if len(scores) < SEEDS or _as_good_as_published(group):
        return None
    meets = group.meets(spread(list(scores.values())).mean)
    turning = [seed for seed in scores if group.meets(spread(_without(seed, scores)).mean) != meets]
    return turning[0] if len(turning) == 1 and not _contains(_without(turning[0], scores), group.bar) else None


def _without(seed: int, scores: Mapping[int, float]) -> list[float]:
    return [score for other, score in scores.items() if other != seed]


def _as_good_as_published(group: Replicates) -> bool:
    """Whether the best seed has just the published figure, which then is a perfect score: any seed that has less makes
    the mean worse, and that is certain."""
    return min(group.short_of(score) for score in group.judged_scores.values()) == 0


def _unsure_of_its_seeds(group: Replicates) -> list[Case]:
    """A case where the interval of the mean over three seeds or more holds the published figure, and no graver question
    is asked."""
    scores = list(group.judged_scores.values())
    if len(scores) < SEEDS or not _contains(scores, group.bar):
        return []
    if two_kinds(group) is not None or _carrier(group) is not None or _as_good_as_published(group):
        return []
    found = spread(scores)
    short = abs(found.mean - group.bar)
    deviation = (found.standard_error or 0.0) * math.sqrt(found.n)
    needed = math.ceil((1.96 * deviation / short) ** 2) + 2 if short else MOST_SEEDS + 1
    text = (
        f"{group.label}: mean {mean_with_interval(scores)} over {found.n} seeds ({group.met} met it), {group.published}"
    )
    remedy = f"some {needed} seeds of {group.label}: {group.more_seeds(needed)}"
    hopeless = f"say that {group.label} cannot be told from it: that would take some {needed:,} seeds"
    return [Case(text, list(group.judged.values()), remedy if needed <= MOST_SEEDS else hopeless)]


def _unsure_of_its_episodes(group: Replicates, seed: int) -> Iterator[Case]:
    """The same for a single run, where it has the deviation of its episodes and says how many they were."""
    run, score = group.judged[seed], group.judged_scores[seed]
    deviation, episodes = noise(run, group.metric), episodes_of(run)
    short = abs(score - group.bar)
    if not deviation or episodes < 2 or not short:
        return
    reach = float(stdtrit(episodes - 1, 0.975)) * deviation / math.sqrt(episodes - 1)
    if short >= reach:
        return
    needed = _rounded_up((1.96 * deviation / short) ** 2)
    command = f"`lab eval {place(run)} --episodes {needed}{_checkpoint(group)}`"
    hopeless = f"say that seed {seed} of {group.label} cannot be told from it: that would take {needed:,} episodes"
    yield Case(
        f"{group.label}, seed {seed}: {shown(score)} ± {reach:.2g} over {episodes:,} episodes, {group.published}",
        [run],
        command if needed <= MOST_EPISODES else hopeless,
    )


def _checkpoint(group: Replicates) -> str:
    return " --checkpoint best" if str(group.metric).startswith("best/") else ""


def _rounded_up(value: float) -> int:
    """To one digit: 1,203 episodes are 2,000."""
    unit = 10 ** math.floor(math.log10(max(value, 1)))
    return int(math.ceil(value / unit) * unit)


def _contains(scores: list[float], value: float) -> bool:
    """Whether a figure lies in the interval of the scores' mean; where there is no interval, none does."""
    found = spread(scores)
    if found.low is None or found.high is None or not found.std:
        return False
    return found.low <= value <= found.high
