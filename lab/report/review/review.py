"""The review of a set of runs: every question that a careful reviewer would ask, the gravest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lab.report.review import claims, endings, fairness, leaks, outcomes, provenance
from lab.report.review.findings import Finding
from lab.report.review.replicates import Evidence, replicates
from lab.runs.select import Run

Question = Callable[[Evidence], Iterator[Finding]]

QUESTIONS: tuple[Question, ...] = (
    provenance.stand_in_data,
    endings.fast_dev_runs,
    leaks.judged_in_training,
    leaks.episodes_alike,
    leaks.seeds_alike,
    endings.failed_runs,
    endings.unfinished_runs,
    claims.few_seeds,
    claims.verdict_of_some,
    outcomes.two_outcomes,
    outcomes.outlying_seeds,
    claims.not_comparable,
    claims.met_by_tolerance,
    claims.too_close,
    fairness.missed_by_a_bound,
    fairness.mixed_settings,
    fairness.unequal_budgets,
    fairness.unequal_protocols,
    endings.not_finite,
    endings.running_runs,
    provenance.unlike_itself,
    provenance.inexact_resumes,
    provenance.forks,
    provenance.several_commits,
    provenance.several_versions,
    provenance.several_machines,
    provenance.uncommitted,
)
"""The gravest first; among the findings, all that are major come before all that are minor."""


def review(runs: Sequence[Run], names: Sequence[str] = ("experiment",)) -> list[Finding]:
    """Return what a careful reviewer would ask about the runs, the gravest first, and in the same order every time.

    `names` are the fields by which the report groups runs to one mean. Findings of one kind are folded into one. Reads
    summaries, configs and journals, and runs no code of theirs.
    """
    evidence = Evidence(runs, replicates(runs), names)
    found = [finding for question in QUESTIONS for finding in question(evidence)]
    return sorted(found, key=lambda finding: finding.weight != "major")
