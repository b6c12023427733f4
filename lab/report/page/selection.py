"""Which single runs a page shows where there are too many: those of every group first, and those that findings name."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest

from lab.report.material import Task
from lab.report.review.findings import Finding
from lab.runs.select import Run

MOST_RUNS = 300
"""Single runs on a page. Means, intervals, verdicts and findings are of all runs."""


def single_runs(tasks: Sequence[Task], findings: Sequence[Finding]) -> list[Run]:
    """Return the runs that the page shows one by one, in the order of their groups: all, or of each group the first
    ones, with the first runs that each finding names among them."""
    groups = [group for task in tasks for group in task.groups]
    runs = [run for group in groups for run in group.runs]
    if len(runs) <= MOST_RUNS:
        return runs
    by_id = {run.record.run_id: run for run in runs}
    named = zip_longest(*([by_id[one] for one in finding.runs[:10] if one in by_id] for finding in findings))
    in_turn = zip_longest(*(sorted(group.runs, key=group.counts, reverse=True) for group in groups))
    chosen: dict[int, Run] = {}
    for run in chain(*[*named][:10], *in_turn):
        if run is not None and len(chosen) < MOST_RUNS:
            chosen[id(run)] = run
    return [run for run in runs if id(run) in chosen]
