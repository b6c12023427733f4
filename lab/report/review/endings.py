"""Questions to how the runs ended: which have no figure, and whether leaving them out flatters the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from mmap import ACCESS_READ, mmap

from lab.console.wording import count, shown, some
from lab.report.review.findings import Case, Finding, fold
from lab.report.review.replicates import Evidence, Replicates, here, place
from lab.runs.readings import seed_of
from lab.runs.select import Run
from lab.tracking.journal import METRICS

BY_ITSELF = ("diverged", "failed")
MAY_BE_NONE = {"train/explained_variance"}
"""Undefined where all returns are equal, which says nothing of the training."""

NULL = b'": null'
"""What stands behind the name of a metric that is not finite."""


def fast_dev_runs(evidence: Evidence) -> Iterator[Finding]:
    """Runs that only touched every stage."""
    runs = [run for run in evidence.runs if run.record.fast_dev_run]
    names = some([f"{shown(name)} ({n})" for name, n in Counter(run.record.name for run in runs).items()])
    yield from fold(
        "fast-dev",
        "major",
        "fast-dev runs",
        [Case(names, runs)] if runs else [],
        intro=f"{len(runs)} of {count(len(evidence.runs), 'run')} only touched every stage: ",
        why="Their figures mean nothing",
        remedy=f"leave them out, or remove them with `{here('lab runs rm --where fast_dev_run=true', runs)}`",
    )


def failed_runs(evidence: Evidence) -> Iterator[Finding]:
    """Runs that came to an end by themselves before training did. One that diverged would do so again, so that it
    counts whatever other runs there are of its seed."""
    cases = []
    for group in evidence.groups:
        if runs := [run for run in _without_end(group, BY_ITSELF) if not _superseded(run, group)]:
            each = [
                f"seed {run.record.seed} {run.status} ({shown(run.record.error or 'no reason given')})" for run in runs
            ]
            cases.append(Case(f"{group.label}, {_share(runs, group)}: {some(each)}", runs))
    yield from fold(
        "failed",
        "major",
        "runs that failed or diverged",
        cases,
        why="A mean over the other seeds leaves out those that went wrong, and flatters the method",
        remedy="find the cause and run them again, or say beside the mean how many of how many failed",
    )


def unfinished_runs(evidence: Evidence) -> Iterator[Finding]:
    """Runs that were ended from outside, and whose seed no other run has finished; graver where a mean is made
    of the others."""
    cases, beside_others = [], False
    for group in evidence.groups:
        if runs := [run for run in _without_end(group, ("killed", "interrupted")) if not _superseded(run, group)]:
            each = some([f"seed {run.record.seed} {run.status}" for run in runs])
            steps = some([f"`lab resume {place(run)}`" for run in runs])
            cases.append(Case(f"{group.label}, {_share(runs, group)}: {each}", runs, steps))
            beside_others |= bool(group.counted)
    accident = ", and that just these seeds were ended may be no accident" if beside_others else ""
    yield from fold(
        "unfinished",
        "major" if beside_others else "minor",
        "unfinished runs",
        cases,
        why=f"They have no figure{accident}",
    )


def running_runs(evidence: Evidence) -> Iterator[Finding]:
    """Runs that a process is at work on."""
    cases = []
    for group in evidence.groups:
        if runs := _without_end(group, ("running",)):
            seeds = some([f"seed {run.record.seed}" for run in runs])
            cases.append(Case(f"{group.label}, {_share(runs, group)}: {seeds}", runs))
    yield from fold(
        "running",
        "minor",
        "runs still at work",
        cases,
        why="No mean has them yet",
        remedy="wait for their end and make the report again",
    )


def not_finite(evidence: Evidence) -> Iterator[Finding]:
    """NaN or infinity in the curves of runs that do not say that they diverged."""
    cases = []
    for run in evidence.real:
        if run.status != "diverged" and (found := _nulls(run)):
            told = some([f"{shown(name)} in {count(n, 'row')}" for name, n in found.most_common()])
            cases.append(Case(f"{shown(run.record.name)} seed {run.record.seed}: {told}", [run]))
    yield from fold(
        "not-finite",
        "minor",
        "values that are not finite",
        cases,
        intro=f"{count(len(cases), 'run')} logged NaN or infinity: ",
        why="A mean over seeds has a hole there, and training may have been near its end",
        remedy="look at these curves where they break off",
    )


def _without_end(group: Replicates, statuses: Collection[str]) -> list[Run]:
    return [run for run in group.runs if run.status in statuses]


def _superseded(run: Run, group: Replicates) -> bool:
    """Whether another run has finished this one's seed."""
    return run.status != "diverged" and seed_of(run) in group.counted


def _share(runs: list[Run], group: Replicates) -> str:
    every = {seed_of(run) for run in group.runs}
    return f"{len({seed_of(run) for run in runs})} of {count(len(every), 'seed')}"


def _nulls(run: Run) -> Counter[str]:
    """How often each metric in the run's curves was not finite. Nothing is parsed: a report has gigabytes of rows."""
    found: Counter[str] = Counter()
    try:
        with (run.record.dir / METRICS).open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            at = content.find(NULL)
            while at >= 0:
                found[content[content.rfind(b'"', 0, at) + 1 : at].decode(errors="replace")] += 1
                at = content.find(NULL, at + 1)
    except (OSError, ValueError):  # no journal, or an empty one, which cannot be mapped
        pass
    return Counter({name: n for name, n in found.items() if name not in MAY_BE_NONE})
