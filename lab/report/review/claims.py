"""Questions about what the runs claim: whether their seeds support the verdict on a published figure or a target."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from lab.console.wording import count, shown
from lab.report.review.claim import Claim
from lab.report.review.commands import more_repeats, place
from lab.report.review.evidence import Evidence
from lab.report.review.findings import Case, mean_with_interval, question
from lab.report.review.outcomes import two_kinds
from lab.runs.readings import episodes_of, noise
from lab.runs.select import Run
from lab.statistics import mean_interval, spread

SEEDS = 3  # fewer give no interval worth reporting
MOST_SEEDS = 30  # that anybody would run to tell two figures apart
MOST_EPISODES = 100_000
REASON = 200  # letters


@question(
    "few-seeds",
    "fewer than three repeats",
    "major",
    intro=lambda evidence, cases: f"{len(cases)} of {count(len(evidence.claims), 'verdict')} on one run or two",
    why="One or two runs do not show how much results vary",
)
def few_seeds(evidence: Evidence) -> Iterator[Case]:
    """Verdicts on fewer than three seeds or folds."""
    for claim in evidence.claims:
        if len(claim.judged) < SEEDS:
            group = claim.group
            runs = [run for run in group.runs if claim.has_verdict(run)]
            twice = f", from {len(runs)} runs" if len(runs) > len(claim.judged) else ""
            verdicts = " and ".join(dict.fromkeys(map(claim.verdict_of, claim.judged)))
            text = f"{group.label} {verdicts} with {group.told(claim.judged)}{twice} ({claim.told})"
            yield Case(text, runs, more_repeats(group))


@question(
    "one-seed-carries",
    "one seed decides the verdict of the mean",
    "major",
    why="Without that seed the verdict is the opposite one, so that it says little about the method",
)
def carried_by_one_seed(evidence: Evidence) -> Iterator[Case]:
    """Means whose verdict one seed turns against all others."""
    for claim in evidence.claims:
        if _depends_on_the_seed(claim) and (one := _carrier(claim)) is not None:
            others = _without(one, claim)
            now, then = _words(claim, spread(claim.scores).mean), _words(claim, spread(others).mean)
            text = (
                f"{_split(claim)} {now} it, and without {claim.group.called(claim.judged[one])} the mean "
                f"{mean_with_interval(others)} {then} it"
            )
            yield Case(text, claim.judged, more_repeats(claim.group, 10))


@question(
    "verdict-by-seed",
    "the verdict depends on the seed",
    "minor",
    why="The verdict of a single run is the verdict of its seed",
    remedy="report the mean over all seeds with its interval, and no single run",
)
def verdict_by_seed(evidence: Evidence) -> Iterator[Case]:
    """Claims that some seeds meet and some miss, where no graver question is asked."""
    for claim in evidence.claims:
        if _depends_on_the_seed(claim) and _carrier(claim) is None and not _unsure_of_its_seeds(claim):
            yield Case(f"{_split(claim)} {_words(claim, spread(claim.scores).mean)} it", claim.judged)


@question(
    "too-close",
    "too close to the figure to tell",
    "minor",
    why="The 95 % interval of the mean contains the figure, so that met or missed may be chance",
)
def too_close(evidence: Evidence) -> Iterator[Case]:
    """Means whose distance to the figure is smaller than their uncertainty: over seeds where there are three, else over
    the episodes of each run."""
    for claim in evidence.claims:
        if len(claim.judged) < SEEDS:
            for run, score in zip(claim.judged, claim.scores, strict=True):
                yield from _unsure_of_its_episodes(claim, run, score)
        else:
            yield from _unsure_of_its_seeds(claim)


@question(
    "not-comparable",
    "not comparable with the published figure",
    "minor",
    why="These runs neither met nor missed it, so that nothing says how good they are",
    remedy="name a figure in `reference` that was published for this task and protocol, or set a `target`",
)
def not_comparable(evidence: Evidence) -> Iterator[Case]:
    """Runs with a figure beside them and no verdict on it."""
    for group in evidence.groups:
        reasons: dict[str, list[Run]] = {}
        for run in group.counted:
            for standard in (run.record.reference, run.record.target):
                if standard.get("verdict") == "not-comparable":
                    reason = shown(standard.get("reason") or "no reason given", longest=REASON)
                    reasons.setdefault(reason, []).append(run)
        for why, runs in reasons.items():
            yield Case(f"{group.label}, {count(len(runs), 'run')}: {why}", runs)


@question(
    "met-by-tolerance",
    "met only within the tolerance",
    "minor",
    why="The mean is worse than the figure by more than its uncertainty",
    remedy="give the reason for the tolerance in `protocol`, or set it to 0",
)
def met_by_tolerance(evidence: Evidence) -> Iterator[Case]:
    """Figures that are met although the whole interval of the mean is on the wrong side of them."""
    for claim in evidence.claims:
        found = spread(claim.scores)
        certain = found.low is not None and found.std
        if certain and 0 < claim.short_of(found.mean) <= claim.tolerance and not _contains(claim.scores, claim.value):
            text = (
                f"{claim.group.label}: {mean_with_interval(claim.scores)} over {count(found.n, claim.group.unit)}, "
                f"{claim.told}, tolerance {shown(claim.tolerance)}"
            )
            yield Case(text, claim.judged)


def _depends_on_the_seed(claim: Claim) -> bool:
    """Whether some of three seeds or more meet the figure and some miss it, without falling into two kinds."""
    return len(claim.scores) >= SEEDS and 0 < claim.met < len(claim.scores) and two_kinds(claim.group) is None


def _split(claim: Claim) -> str:
    group = claim.group
    return (
        f"{group.label} met on {claim.met} of {count(len(claim.scores), group.unit)} ({group.told(claim.judged)}; "
        f"{claim.told}); the mean {mean_with_interval(claim.scores)}"
    )


def _words(claim: Claim, mean: float) -> str:
    return "meets" if claim.meets(mean) else "misses"


def _carrier(claim: Claim) -> int | None:
    """The index of the one seed that decides the verdict of a mean over three or more; None where there is none.

    Without it, and without no other, the mean has the opposite verdict, and its interval does not contain the bar.
    (The interval of all seeds contains the bar whenever one seed less turns the verdict: it would not do.)
    """
    scores = claim.scores
    if len(scores) < SEEDS or _as_good_as_published(claim):
        return None
    meets = claim.meets(spread(scores).mean)
    turning = [at for at in range(len(scores)) if claim.meets(spread(_without(at, claim)).mean) != meets]
    return turning[0] if len(turning) == 1 and not _contains(_without(turning[0], claim), claim.bar) else None


def _without(at: int, claim: Claim) -> list[float]:
    return [*claim.scores[:at], *claim.scores[at + 1 :]]


def _as_good_as_published(claim: Claim) -> bool:
    """Whether the best seed has exactly the figure. Then it is a perfect score, and any seed with less certainly makes
    the mean worse."""
    return min(map(claim.short_of, claim.scores)) == 0


def _unsure_of_its_seeds(claim: Claim) -> list[Case]:
    """A case where the interval of the mean over three seeds or more contains the bar, and no graver question is
    asked."""
    scores, group = claim.scores, claim.group
    if len(scores) < SEEDS or not _contains(scores, claim.bar):
        return []
    if two_kinds(group) is not None or _carrier(claim) is not None or _as_good_as_published(claim):
        return []
    found = spread(scores)
    short = abs(found.mean - claim.bar)
    deviation = (found.standard_error or 0.0) * math.sqrt(found.n)
    needed = max(found.n, math.ceil((1.96 * deviation / short) ** 2)) + 2 if short else MOST_SEEDS + 1
    repeats = count(found.n, group.unit)
    text = f"{group.label}: mean {mean_with_interval(scores)} over {repeats} ({claim.met} met it), {claim.told}"
    remedy = f"about {needed} {group.unit}s of {group.label}: {more_repeats(group, needed)}"
    hopeless = (
        f"say that {group.label} and {claim.called} cannot be told apart: that would take about {needed:,} "
        f"{group.unit}s"
    )
    return [Case(text, claim.judged, remedy if needed <= MOST_SEEDS else hopeless)]


def _unsure_of_its_episodes(claim: Claim, run: Run, score: float) -> Iterator[Case]:
    """The same for a single run, where the deviation and the number of its episodes are known."""
    group = claim.group
    deviation, episodes = noise(run, group.metric), episodes_of(run)
    short = abs(score - claim.bar)
    if not deviation or episodes < 2 or not short:
        return
    reach = mean_interval(0.0, deviation / math.sqrt(episodes - 1), episodes)[1]
    if short >= reach:
        return
    needed = _rounded_up((1.96 * deviation / short) ** 2)
    command = f"`lab eval {place(run)} --episodes {needed}{_checkpoint(claim)}`"
    hopeless = (
        f"say that {group.called(run)} of {group.label} and {claim.called} cannot be told apart: that would take "
        f"{needed:,} episodes"
    )
    yield Case(
        f"{group.label}, {group.called(run)}: {shown(score)} ± {reach:.2g} over {episodes:,} episodes, {claim.told}",
        [run],
        command if needed <= MOST_EPISODES else hopeless,
    )


def _checkpoint(claim: Claim) -> str:
    return " --checkpoint best" if str(claim.group.metric).startswith("best/") else ""


def _rounded_up(value: float) -> int:
    """To one digit: 1,203 episodes are 2,000."""
    unit = 10 ** math.floor(math.log10(max(value, 1)))
    return int(math.ceil(value / unit) * unit)


def _contains(scores: Sequence[float], value: float) -> bool:
    """Whether a value lies in the interval of the scores' mean. A mean without an interval contains none."""
    found = spread(scores)
    if found.low is None or found.high is None or not found.std:
        return False
    return found.low <= value <= found.high
