"""Questions to what the runs were made with, and whether they can be repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lab.console.wording import count, shown, some, word
from lab.report.review.findings import Case, Finding, fold
from lab.report.review.replicates import Evidence, again, here
from lab.runs.readings import figure, seed_of
from lab.runs.select import Run

OF_NO_FIGURE = {"wandb", "jsonargparse"}
"""Packages whose version changes no figure."""


def stand_in_data(evidence: Evidence) -> Iterator[Finding]:
    """Other data than the config asks for."""
    cases = [
        Case(
            f"{shown(run.record.name)} seed {run.record.seed} used {shown(run.record.dataset.get('name'))} "
            f"({shown(run.record.dataset['fallback'])})",
            [run],
            f"`lab data fetch {word(run.value('data.name'))}`, then `{again(run)}`",
        )
        for run in evidence.real
        if run.record.dataset.get("fallback")
    ]
    yield from fold(
        "stand-in-data",
        "major",
        "stand-in data",
        cases,
        intro=f"{len(cases)} of {count(len(evidence.real), 'run')} had other data than asked for: ",
        why="Their figures are of another task",
    )


def inexact_resumes(evidence: Evidence) -> Iterator[Finding]:
    """Runs that were resumed and may have ended otherwise than without the interruption."""
    reasons: dict[str, list[Run]] = {}
    for run in evidence.real:
        resume = run.record.resume
        sessions = resume.get("sessions")
        resumed = bool(resume.get("forced")) or (isinstance(sessions, int) and sessions > 1)
        if resume.get("exact") is False and resumed:
            reasons.setdefault(shown(resume.get("reason") or "no reason given"), []).append(run)
    first = next(iter(reasons.values()), None)
    yield from fold(
        "inexact-resume",
        "minor",
        "inexact resumes",
        [Case(f"{reason} ({count(len(runs), 'run')})", runs) for reason, runs in reasons.items()],
        intro="Resumed, and perhaps not ended as without the interruption: ",
        why="Config and seed do not repeat such a run",
        remedy=f"run them again without one, as `{again(first[0])}`" if first else "",
    )


def unlike_itself(evidence: Evidence) -> Iterator[Finding]:
    """Finished runs of one seed that have other figures."""
    cases = []
    for group in evidence.groups:
        for seed in group.counted:
            runs = [run for run in group.runs if seed_of(run) == seed and run.status == "completed"]
            figures = {shown(score) for run in runs if (score := figure(run, group.metric)) is not None}
            if len(figures) > 1:
                two = " ".join(word(run.record.run_id) for run in (runs[0], runs[-1]))
                text = f"{group.label} seed {seed}, {group.metric} {some(sorted(figures))}"
                cases.append(Case(text, runs, f"`{here(f'lab runs --diff {two}', runs)}` shows what differs"))
    yield from fold(
        "unlike-itself",
        "minor",
        "one seed, several figures",
        cases,
        why="On one kind of machine, with one version of everything, the same seed should give the same figure",
        remedy="only the newest is counted here",
    )


def forks(evidence: Evidence) -> Iterator[Finding]:
    """Runs that went on from another run's checkpoint."""
    cases = [
        Case(
            f"{shown(run.record.name)} seed {run.record.seed} from step {shown(run.record.parent.get('checkpoint'))} "
            f"of {shown(run.record.parent.get('run_id'))}",
            [run],
            f"`{again(run)}`",
        )
        for run in evidence.real
        if run.record.parent
    ]
    yield from fold(
        "fork",
        "minor",
        "runs that began as others",
        cases,
        intro=f"{count(len(cases), 'run')} went on from a checkpoint that was trained with other settings: ",
        why="The config does not say all of such a run's training, and beside its parent it is no seed of its own",
    )


def uncommitted(evidence: Evidence) -> Iterator[Finding]:
    """Code that nobody can get back."""
    dirty = [run for run in evidence.real if _git(run).get("dirty")]
    outside = [run for run in evidence.real if not _git(run).get("commit")]
    made = {"with uncommitted changes": dirty, "outside a git repository": outside}
    of_all = f"of {count(len(evidence.real), 'run')}"
    yield from fold(
        "uncommitted",
        "minor",
        "code that is not committed",
        [Case(f"{len(runs)} {of_all} made {how}", runs) for how, runs in made.items() if runs],
        why="What they ran cannot be got back",
        remedy="commit, and run them again",
    )


def several_commits(evidence: Evidence) -> Iterator[Finding]:
    """Seeds of one group that ran other code."""
    cases = _mixed(evidence, {"commits": _commit})
    yield from fold(
        "several-commits",
        "minor",
        "several commits in one group",
        [case._replace(remedy=_changes(case.runs)) for case in cases],
        why="Its seeds may have run other code; where that changed what they do, the older have to run again",
    )


def several_versions(evidence: Evidence) -> Iterator[Finding]:
    """Seeds of one group that ran on other versions of what the lab stands on."""
    packages = sorted({name for run in evidence.real for name in run.record.versions} - OF_NO_FIGURE)
    yield from fold(
        "several-versions",
        "minor",
        "several versions in one group",
        _mixed(evidence, {shown(name): partial(_version, name=name) for name in packages}),
        why="Another version may give other figures from the same seed",
        remedy="run the older ones again with the versions of the newer",
    )


def several_machines(evidence: Evidence) -> Iterator[Finding]:
    """Seeds of one group that were trained on other devices, or with other numbers of threads."""
    fields: dict[str, Callable[[Run], Any]] = {
        "devices": lambda run: run.record.device,
        "threads": lambda run: run.record.threads,
    }
    yield from fold(
        "several-machines",
        "minor",
        "several kinds of machine in one group",
        _mixed(evidence, fields),
        why="The same seed gives other figures there, and speeds do not compare",
        remedy="run all seeds with one `--device` and one `--threads`",
    )


def _mixed(evidence: Evidence, fields: Mapping[str, Callable[[Run], Any]]) -> list[Case]:
    """A case for each group whose runs that count differ in a field that all of them have."""
    cases = []
    for group in evidence.groups:
        runs = list(group.counted.values())
        differing = []
        for name, get in fields.items():
            values = Counter(shown(value) for run in runs if (value := get(run)) not in (None, ""))
            if len(values) > 1 and values.total() == len(runs):
                each = [f"{value} ({count(n, 'run')})" for value, n in values.items()]
                differing.append(f"{name} {some(each)}")
        if differing:
            cases.append(Case(f"{group.label}: {some(differing)}", runs))
    return cases


def _changes(runs: Sequence[Run]) -> str:
    """The commands that show what changed between the oldest commit of the runs and each of the others."""
    first, *others = dict.fromkeys(_commit(run) for run in sorted(runs, key=lambda run: run.record.run_id))
    return some([f"`git diff --stat {word(first)} {word(other)}`" for other in others])


def _git(run: Run) -> Mapping[str, Any]:
    return run.record.git or {}


def _commit(run: Run) -> str:
    return str(_git(run).get("commit") or "")[:7]


def _version(run: Run, name: str) -> Any:
    """A package's version; of Python's, whose last number changes no figure, the first two."""
    version = run.record.versions.get(name)
    return ".".join(str(version).split(".")[:2]) if name == "python" and version else version
