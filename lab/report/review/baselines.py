"""Questions about the baselines: the simplest things one would try on the same split."""

from __future__ import annotations

from collections.abc import Iterator

from lab.console.wording import shown
from lab.report.review.evidence import Evidence
from lab.report.review.findings import Case, mean_with_interval, question
from lab.runs.order import direction


@question(
    "below-baseline",
    "no better than a simple baseline",
    "major",
    why="The mean is not better than what a much simpler method reaches on the same data",
    remedy="find out why the model does not learn what the baseline finds, or report the baseline beside it",
)
def below_a_baseline(evidence: Evidence) -> Iterator[Case]:
    """Groups whose mean is no better than one of their own baselines."""
    for group in evidence.groups:
        if not (found := group.spread) or not group.baselines:
            continue
        sign = 1 if direction(str(group.metric), group.runs)[0] == "max" else -1
        best = max(group.baselines, key=lambda name: sign * group.baselines[name])
        if sign * (found.mean - group.baselines[best]) <= 0:
            text = (
                f"{group.label}, {group.metric} {mean_with_interval(group.scores)}, where {shown(best)} has "
                f"{shown(group.baselines[best])}"
            )
            yield Case(text, group.counted)
