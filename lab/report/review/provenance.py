"""Questions about what the runs were made with, and whether they can be repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lab.console.wording import count, shown, some, word
from lab.report.review.commands import again, here
from lab.report.review.evidence import Evidence
from lab.report.review.findings import Case, question
from lab.runs.designs import repeat
from lab.runs.readings import figure
from lab.runs.select import Run

OF_NO_FIGURE = {"wandb", "jsonargparse"}
"""Packages whose version changes no figure."""


@question(
    "stand-in-data",
    "stand-in data",
    "major",
    intro=lambda evidence, cases: f"{len(cases)} of {count(len(evidence.real), 'run')} used other data than asked for",
    why="Their figures are for another task",
)
def stand_in_data(evidence: Evidence) -> Iterator[Case]:
    """Runs on other data than their config asks for."""
    for run in evidence.real:
        if run.record.dataset.get("fallback"):
            used, reason = (shown(run.record.dataset.get(name)) for name in ("name", "fallback"))
            fetch = f"`lab data fetch {word(run.value('data.name'))}`, then `{again(run)}`"
            yield Case(f"{evidence.called(run)} used {used} ({reason})", [run], fetch)


@question(
    "inexact-resume",
    "inexact resumes",
    "minor",
    intro=lambda evidence, cases: "Some runs were resumed and may have ended differently than without the interruption",
    why="Config and seed do not repeat such a run",
)
def inexact_resumes(evidence: Evidence) -> Iterator[Case]:
    """Runs that were resumed, and not exactly."""
    reasons: dict[str, list[Run]] = {}
    for run in evidence.real:
        resume = run.record.resume
        sessions = resume.get("sessions")
        resumed = bool(resume.get("forced")) or (isinstance(sessions, int) and sessions > 1)
        if resume.get("exact") is False and resumed:
            reasons.setdefault(shown(resume.get("reason") or "no reason given"), []).append(run)
    for reason, runs in reasons.items():
        remedy = f"run them again without an interruption, as `{again(runs[0])}`"
        yield Case(f"{reason} ({count(len(runs), 'run')})", runs, remedy)


@question(
    "unlike-itself",
    "one seed, several figures",
    "minor",
    why="The same seed should give the same figure on the same kind of machine with the same versions",
    remedy="only the newest is counted here",
)
def unlike_itself(evidence: Evidence) -> Iterator[Case]:
    """Finished runs with the same seed and different figures."""
    for group in evidence.groups:
        same: dict[Hashable, list[Run]] = {}
        for run in group.runs:
            if run.status == "completed":
                same.setdefault(repeat(run), []).append(run)
        for one in group.counted:
            runs = same[repeat(one)]
            figures = {shown(score) for run in runs if (score := figure(run, group.metric)) is not None}
            if len(figures) > 1:
                two = " ".join(word(run.record.run_id) for run in (runs[0], runs[-1]))
                text = f"{group.label}, {group.called(one)}, {group.metric} {some(sorted(figures))}"
                yield Case(text, runs, f"`{here(f'lab runs --diff {two}', runs)}` shows what differs")


@question(
    "fork",
    "runs that began as other runs",
    "minor",
    intro=lambda evidence, cases: (
        f"{count(len(cases), 'run')} went on from a checkpoint that was trained with other settings"
    ),
    why="Their configs do not describe all of their training, and beside its parent such a run is not another seed",
)
def forks(evidence: Evidence) -> Iterator[Case]:
    """Runs that went on from another run's checkpoint."""
    for run in evidence.real:
        if parent := run.record.parent:
            step, other = (shown(parent.get(name)) for name in ("checkpoint", "run_id"))
            text = f"{evidence.called(run)} from step {step} of {other}"
            yield Case(text, [run], f"`{again(run)}`")


@question(
    "not-yours",
    "runs that are not signed as yours",
    "minor",
    intro=lambda evidence, cases: f"{count(sum(len(case.runs) for case in cases), 'run')} of somebody else or changed",
    why="Nothing vouches for their figures, and beside runs of your own they do not count",
)
def not_yours(evidence: Evidence) -> Iterator[Case]:
    """Runs that bear no signature of the user's, or were changed after they were signed."""
    for group in evidence.groups:
        if strange := [run for run in group.runs if not run.record.mine]:
            name = word(strange[0].record.run_id)
            repeat_it, sign_it = (here(f"lab {command} {name}", strange) for command in ("eval", "trust"))
            remedy = f"`{repeat_it}` repeats its figures, `{sign_it}` signs it as yours"
            yield Case(f"{len(strange)} of {group.label}", strange, remedy)


@question(
    "uncommitted",
    "code that is not committed",
    "minor",
    why="Nobody can get back the code that they ran",
    remedy="commit, and run them again",
)
def uncommitted(evidence: Evidence) -> Iterator[Case]:
    """Runs of code that is in no commit."""
    dirty = [run for run in evidence.real if _git(run).get("dirty")]
    outside = [run for run in evidence.real if not _git(run).get("commit")]
    made = {"with uncommitted changes": dirty, "outside a git repository": outside}
    for how, runs in made.items():
        if runs:
            yield Case(f"{len(runs)} of {count(len(evidence.real), 'run')} made {how}", runs)


@question(
    "several-commits",
    "several commits in one group",
    "minor",
    why="Its seeds may have run different code; if a change affects the figures, the older seeds have to run again",
)
def several_commits(evidence: Evidence) -> Iterator[Case]:
    """Seeds of one group that ran different commits."""
    for case in _mixed(evidence, {"commits": _commit}):
        yield case._replace(remedy=_changes(case.runs))


@question(
    "several-versions",
    "several versions in one group",
    "minor",
    why="The same seed may give another figure with another version",
    remedy="run the older ones again with the versions of the newer",
)
def several_versions(evidence: Evidence) -> Iterator[Case]:
    """Seeds of one group that ran with different versions of packages."""
    packages = sorted({name for run in evidence.real for name in run.record.versions} - OF_NO_FIGURE)
    yield from _mixed(evidence, {shown(name): partial(_version, name=name) for name in packages})


@question(
    "several-machines",
    "several kinds of machine in one group",
    "minor",
    why="The same seed gives other figures there, and speeds do not compare",
    remedy="run all seeds with one `--device` and one `--threads`",
)
def several_machines(evidence: Evidence) -> Iterator[Case]:
    """Seeds of one group that were trained on different devices, or with different numbers of threads."""
    yield from _mixed(evidence, {"devices": lambda run: run.record.device, "threads": lambda run: run.record.threads})


def _mixed(evidence: Evidence, fields: Mapping[str, Callable[[Run], Any]]) -> Iterator[Case]:
    """A case for each group whose runs that count differ in a field that all of them have."""
    for group in evidence.groups:
        differing = []
        for name, get in fields.items():
            values = Counter(shown(value) for run in group.counted if (value := get(run)) not in (None, ""))
            if len(values) > 1 and values.total() == len(group.counted):
                each = [f"{value} ({count(n, 'run')})" for value, n in values.items()]
                differing.append(f"{name} {some(each)}")
        if differing:
            yield Case(f"{group.label}: {some(differing)}", group.counted)


def _changes(runs: Sequence[Run]) -> str:
    """The commands that show what changed between the oldest commit of the runs and each of the others."""
    first, *others = dict.fromkeys(_commit(run) for run in sorted(runs, key=lambda run: run.record.run_id))
    return some([f"`git diff --stat {word(first)} {word(other)}`" for other in others])


def _git(run: Run) -> Mapping[str, Any]:
    return run.record.git or {}


def _commit(run: Run) -> str:
    return str(_git(run).get("commit") or "")[:7]


def _version(run: Run, name: str) -> Any:
    """A package's version. Of Python's only the first two numbers: the last one changes no figure."""
    version = run.record.versions.get(name)
    return ".".join(str(version).split(".")[:2]) if name == "python" and version else version
