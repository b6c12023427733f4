"""Questions about how the runs ended: which have no figure, and whether leaving them out flatters the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from lab.console.wording import count, shown, some
from lab.report.review.commands import here, place
from lab.report.review.evidence import Evidence
from lab.report.review.findings import Case, question
from lab.runs.designs import repeat
from lab.runs.groups import Group
from lab.runs.select import Run
from lab.tracking.journal import METRICS, lines_of

MAY_BE_NONE = {"train/explained_variance"}
"""Undefined where all returns are equal, which says nothing about the training."""

NULL = re.compile(rb'"([^"]{0,300})": null')
"""The name of a metric that is not finite, in a row."""
MARK = b": null"
MOST_NAMES = 100_000
"""Of metrics; a damaged journal may have any."""


@question(
    "fast-dev",
    "fast-dev runs",
    "major",
    intro=lambda evidence, cases: f"{len(cases[0].runs)} of {count(len(evidence.runs), 'run')}",
    why="They only touched every stage, and their figures mean nothing",
)
def fast_dev_runs(evidence: Evidence) -> Iterator[Case]:
    """Runs that only touched every stage."""
    if runs := [run for run in evidence.runs if run.record.fast_dev_run]:
        names = Counter(run.record.name for run in runs)
        remove = f"leave them out, or remove them with `{here('lab runs rm --where fast_dev_run=true', runs)}`"
        yield Case(some([f"{shown(name)} ({n})" for name, n in names.items()]), runs, remove)


@question(
    "failed",
    "runs that failed or diverged",
    "major",
    why="A mean over the other seeds leaves out those that went wrong, and makes the method look better than it is",
    remedy="find the cause and run them again, or say beside the mean how many of how many failed",
)
def failed_runs(evidence: Evidence) -> Iterator[Case]:
    """Runs that ended before their training did. A run that diverged would diverge again, so that it counts even where
    another run finished its seed."""
    for group in evidence.groups:
        if runs := [run for run in _with_status(group, ("diverged", "failed")) if not _superseded(run, group)]:
            each = [
                f"{group.called(run)} {run.status} ({shown(run.record.error or 'no reason given')})" for run in runs
            ]
            yield Case(f"{group.label}, {_share(runs, group)}: {some(each)}", runs)


@question(
    "unfinished",
    "unfinished runs",
    "minor",
    why="They have no figure. A mean over the other seeds may be better than it would be with these",
)
def unfinished_runs(evidence: Evidence) -> Iterator[Case]:
    """Runs that were killed or interrupted, and whose seed no other run has finished; graver where other seeds of the
    group make a mean."""
    for group in evidence.groups:
        if runs := [run for run in _with_status(group, ("killed", "interrupted")) if not _superseded(run, group)]:
            each = some([f"{group.called(run)} {run.status}" for run in runs])
            steps = some([f"`lab resume {place(run)}`" for run in runs])
            text = f"{group.label}, {_share(runs, group)}: {each}"
            yield Case(text, runs, steps, "major" if group.counted else "minor")


@question(
    "running",
    "runs that are still running",
    "minor",
    why="No mean includes them yet",
    remedy="wait until they end and make the report again",
)
def running_runs(evidence: Evidence) -> Iterator[Case]:
    """Runs that a process is working on."""
    for group in evidence.groups:
        if runs := _with_status(group, ("running",)):
            yield Case(f"{group.label}, {_share(runs, group)}: {some(list(map(group.called, runs)))}", runs)


@question(
    "not-finite",
    "values that are not finite",
    "minor",
    intro=lambda evidence, cases: f"{count(len(cases), 'run')} logged NaN or infinity",
    why="The mean curve has a gap there, and training may have been close to diverging",
    remedy="look at these curves where they break off",
)
def not_finite(evidence: Evidence) -> Iterator[Case]:
    """NaN or infinity in the curves of runs that do not say that they diverged."""
    for run in evidence.real:
        if run.status != "diverged" and (found := _nulls(run)):
            rows = some([f"{shown(name)} in {count(n, 'row')}" for name, n in found.most_common()])
            yield Case(f"{evidence.called(run)}: {rows}", [run])


def _with_status(group: Group, statuses: Collection[str]) -> list[Run]:
    return [run for run in group.runs if run.status in statuses]


def _superseded(run: Run, group: Group) -> bool:
    """Whether another run has finished this one's seed and fold."""
    return run.status != "diverged" and repeat(run) in map(repeat, group.counted)


def _share(runs: Sequence[Run], group: Group) -> str:
    return f"{len(set(map(repeat, runs)))} of {count(len(set(map(repeat, group.runs))), group.unit)}"


def _nulls(run: Run) -> Counter[str]:
    """How often each metric in the run's curves was not finite. Nothing is parsed: a report has gigabytes of rows."""
    found: Counter[str] = Counter()
    with suppress(OSError, ValueError):  # no journal, or a damaged one
        for lines in lines_of(run.record.dir / METRICS):
            for line in lines if len(found) < MOST_NAMES else ():
                if MARK in line:
                    found.update(name.decode(errors="replace") for name in NULL.findall(line))
    return Counter({name: n for name, n in found.items() if name not in MAY_BE_NONE})
