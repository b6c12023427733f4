"""The review of a set of runs: every question that a careful reviewer would ask, the gravest first."""

from __future__ import annotations

from collections.abc import Sequence

from lab.report.review import baselines, claims, endings, fairness, leaks, outcomes, provenance
from lab.report.review.evidence import Evidence
from lab.report.review.findings import Finding, Question
from lab.runs.select import Run

QUESTIONS: tuple[Question, ...] = (
    provenance.stand_in_data,
    endings.fast_dev_runs,
    leaks.judged_in_training,
    leaks.episodes_alike,
    leaks.seeds_alike,
    endings.failed_runs,
    endings.unfinished_runs,
    baselines.below_a_baseline,
    claims.few_seeds,
    claims.carried_by_one_seed,
    claims.verdict_by_seed,
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
    provenance.not_yours,
    provenance.inexact_resumes,
    provenance.forks,
    provenance.several_commits,
    provenance.several_versions,
    provenance.several_machines,
    provenance.uncommitted,
)
"""In the order in which they are reported, after those with the weight `major`."""


def review(runs: Sequence[Run], names: Sequence[str] = ("experiment",)) -> list[Finding]:
    """Return what a careful reviewer would ask about the runs, the gravest first, in the same order every time.

    `names` are the fields by which the report groups runs to one mean. All cases of a kind are one finding. Reads
    summaries, configs and journals; runs no code of theirs.
    """
    evidence = Evidence(runs, names)
    found = [finding for question in QUESTIONS if (finding := question.ask(evidence))]
    return sorted(found, key=lambda finding: finding.weight != "major")
