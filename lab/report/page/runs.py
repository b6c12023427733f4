"""One run on the page: its facts, its settings, and the command that repeats it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.console.wording import count
from lab.report.display import figure as display_figure
from lab.report.display import mapping, moment, when
from lab.report.figures.curves import Curves
from lab.report.material import Task, short
from lab.runs.groups import Group
from lab.runs.readings import figure, number
from lab.runs.select import Run
from lab.tracking.redact import redact

LONGEST_ERROR = 4_000  # characters


@dataclass(frozen=True)
class RunView:
    """A run with all that its section of the page shows.

    Args:
        place: in the report; the page's element is `run-PLACE`.
        name: what tells it from the others of its group, as `seed 0`.
        figure: its headline figure, None where it has none.
        facts: names and texts.
        command: that repeats it; None where its config can't be read.
        search: the text that the page's search looks through.
        settings: its whole config, a line each.
    """

    place: int
    name: str
    run: Run
    group: Group
    task: Task
    figure: float | None
    started: str
    facts: list[tuple[str, str]]
    error: str
    command: str | None
    search: str
    settings: str


def view(
    place: int,
    run: Run,
    tasks: Sequence[Task],
    *,
    curves: Curves,
    command: str | None,
    settings: Mapping[str, str],
) -> RunView:
    """Return the run at `place` for the page."""
    task, group = next((t, g) for t in tasks for g in t.groups if any(one is run for one in g.runs))
    record = run.record
    error = short(str(redact(record.error or "")), LONGEST_ERROR)
    told = [
        ("folder", record.run_dir),
        ("verdict", _verdict(run.record.reference)),
        ("target", _verdict(run.record.target) if run.record.target else ""),
        ("baselines", _figures(run.record.baselines)),
        ("bounds", _figures(run.record.bounds)),
        ("judged", run.record.judged),
        ("data", _data(run)),
        ("device", f"{record.device}, {count(record.threads, 'CPU thread')}" if record.threads else record.device),
        ("git", _git(record.git)),
        ("resumed", _resumed(record.resume)),
        ("forked", _forked(record.parent)),
        ("journal", _journal(curves)),
        ("W&B", _wandb(record.wandb)),
        ("versions", ", ".join(f"{name} {version}" for name, version in mapping(record.versions).items())),
    ]
    words = [record.run_id, group.label, record.name, task.dataset, str(task.metric), run.status, record.verdict]
    words += [f"seed {record.seed}", group.called(run), record.device, _git(record.git), error, command or ""]
    words += [f"{name}={value}" for name, value in settings.items()]
    search = " ".join(map(str, words)).lower()
    facts = [(name, str(text)) for name, text in told if text]
    whole = "\n".join(f"{name}: {value}" for name, value in settings.items())
    return RunView(
        place,
        group.called(run),
        run,
        group,
        task,
        figure(run, group.metric),
        when(moment(record.started)),
        facts,
        error,
        command,
        search,
        whole,
    )


def common_versions(runs: Sequence[Run]) -> dict[str, dict[str, list[int]]]:
    """Return, by package, its versions and the places of the runs that had each."""
    found: dict[str, dict[str, list[int]]] = {}
    for place, run in enumerate(runs):
        for package, version in mapping(run.record.versions).items():
            found.setdefault(str(package), {}).setdefault(str(version), []).append(place)
    return found


def _verdict(standard: Mapping[str, Any]) -> str:
    verdict, reason = str(standard.get("verdict", "none")), standard.get("reason")
    return f"{verdict}: {reason}" if reason else verdict


def _figures(beside: Mapping[str, Any]) -> str:
    """The metrics of baselines or bounds, as `nearest centroid: test/accuracy 0.82`."""
    found = []
    for name, metrics in beside.items():
        figures = [(metric, number(value)) for metric, value in mapping(metrics).items()]
        told = ", ".join(f"{metric} {display_figure(value)}" for metric, value in figures if value is not None)
        found.append(short(f"{name}: {told}"))
    return "; ".join(found)


def _data(run: Run) -> str:
    dataset = run.record.dataset
    parts = [str(dataset.get("name", "unknown"))]
    if dataset.get("fallback"):
        parts.append(f"instead of the data that was asked for, because {dataset['fallback']}")
    if dataset.get("sha256"):
        parts.append(f"sha256 {str(dataset['sha256'])[:12]}")
    return ", ".join(parts)


def _git(git: Any) -> str:
    commit = mapping(git).get("commit")
    if not commit:
        return "not in a repository"
    return f"{str(commit)[:10]}{' with uncommitted changes' if mapping(git).get('dirty') else ''}"


def _resumed(resume: Any) -> str:
    sessions = number(mapping(resume).get("sessions")) or 1
    if sessions <= 1:
        return ""
    exact = "exactly" if mapping(resume).get("exact") else f"not exactly: {mapping(resume).get('reason')}"
    return f"{count(int(sessions) - 1, 'time')}, {exact}"


def _forked(parent: Any) -> str:
    if not mapping(parent):
        return ""
    at = number(mapping(parent).get("checkpoint"))
    step = f" at step {at:,.0f}" if at is not None else ""
    return f"from {mapping(parent).get('run_id')}{step}; the command above trains from the beginning"


def _journal(curves: Curves) -> str:
    told = [count(curves.rows, "row")]
    if curves.damaged:
        told.append(f"{count(curves.damaged, 'damaged line')} skipped")
    if curves.not_finite:
        told.append(f"{count(curves.not_finite, 'value')} not finite and not drawn")
    if curves.left_out:
        told.append(f"{count(curves.left_out, 'metric')} beyond the limit left out")
    if curves.unread:
        told.append(f"not read to its end: {curves.unread}")
    return ", ".join(told)


def _wandb(state: Any) -> str:
    found = mapping(state)
    return str(found.get("url") or found.get("problem") or found.get("mode") or "")
