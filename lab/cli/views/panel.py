"""What a run says at its beginning and its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lab.console.wording import duration, near
from lab.runs.summary import Summary
from lab.statistics import Spread

if TYPE_CHECKING:
    from lab.capabilities import Episode  # imports torch

COLOURS = {"met": "green", "missed": "yellow", "not-comparable": "magenta", "none": "white"}


def announcement(run: Summary) -> str:
    """One line when training is about to begin."""
    threads = f", {run.threads} thread{'s' if run.threads > 1 else ''}" if run.device == "cpu" else ""
    return escape(
        f"{run.name}, seed {run.seed}, on {run.device}{threads}, {run.dataset['name']}; folder {near(run.dir)}"
    )


def panel(run: Summary) -> RenderableType:
    """The result: metrics beside the published reference, what it cost, where it lies, what to try next."""
    metrics = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("metric", "this run", "published"):
        metrics.add_column(title, justify="left" if title == "metric" else "right")
    for name, value in run.metrics.items():
        published = f"{run.reference['value']:g}" if run.reference.get("metric") == name else ""
        if published and run.reference.get("spread") is not None:
            published += f" ± {run.reference['spread']:g}"
        metrics.add_row(escape(name), "not finite" if value is None else f"{value:.5g}", published)
    colour = COLOURS[run.verdict]
    verdict = Text.assemble(
        ("reference ", "bold"), (run.verdict, f"bold {colour}"), f": {run.reference.get('reason', '')}"
    )
    lines: list[RenderableType] = [metrics, Text(), verdict]
    if source := run.reference.get("source"):
        lines.append(Text(f"  {source}; {run.reference['protocol']}", style="dim"))
    if run.dataset["fallback"]:
        lines.append(Text(f"data: {run.dataset['name']}, because {run.dataset['fallback']}", style="bold yellow"))
    rate = f", {run.throughput['value']:,.0f} {run.throughput['unit']}" if run.throughput else ""
    took = ", ".join(f"{stage} {duration(seconds)}" for stage, seconds in run.durations.items())
    facts = Table.grid(padding=(0, 2))
    facts.add_row("device", f"{run.device}, {run.threads} CPU thread{'s' if run.threads > 1 else ''}{rate}")
    facts.add_row("time", took)
    if run.resume.get("sessions", 1) > 1:
        exact = "exactly" if run.resume["exact"] else f"not exactly: {run.resume['reason']}"
        times = run.resume["sessions"] - 1
        facts.add_row("resumed", escape(f"{'once' if times == 1 else f'{times} times'}, {exact}"))
    if run.parent:
        facts.add_row("forked", escape(f"from {run.parent['run_id']} at step {run.parent['checkpoint']:,}"))
    facts.add_row("folder", escape(near(run.dir)))
    facts.add_row("W&B", escape(_wandb(run)))
    commands = Table.grid(padding=(0, 2))
    for words, what in _next(run):
        commands.add_row(Text(words, style="cyan"), what)
    lines += [Text(), facts, Text(), Text("next", style="bold"), commands]
    title = f"{run.name}, seed {run.seed}" + (" (fast-dev run)" if run.fast_dev_run else "")
    return Panel(Group(*lines), title=escape(title), border_style=colour, expand=False)


def comparison(recorded: Summary, again: Summary, *, changed: bool) -> RenderableType:
    """Figures of an evaluation beside the recorded ones; `changed` where its settings are other ones."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("metric", "recorded", "now", ""):
        table.add_column(title, justify="left" if title == "metric" else "right")
    for name, value in again.metrics.items():
        before = recorded.metrics.get(name)
        table.add_row(escape(name), str(before), str(value), "same" if before == value else "differs")
    if changed:
        verdict = "evaluated with other settings than the run's own"
    elif recorded.metrics == again.metrics:
        verdict = "all figures are the same"
    else:
        verdict = (
            f"figures differ: recorded on {recorded.device} with torch {recorded.versions.get('torch')}, "
            f"now on {again.device}; device, threads and versions can each change the last digits"
        )
    return Group(Text(f"{recorded.name}, run {recorded.run_id}", style="bold"), table, Text(verdict))


def judgement(
    record: Summary, title: str, spreads: Mapping[int, Spread], together: Spread, worst: Episode
) -> RenderableType:
    """Returns of an agent over each evaluation seed, and over all of them; `title` is the checkpoint's."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("seed", "episodes", "mean", "std", "std error", "95 % of the mean", "min", "median", "max"):
        table.add_column(column, justify="right")
    rows = {str(seed): one for seed, one in spreads.items()} | ({"all": together} if len(spreads) > 1 else {})
    for name, one in rows.items():
        error = f"{one.standard_error:.3g}" if one.standard_error is not None else "-"
        interval = f"{one.low:.5g} to {one.high:.5g}" if one.low is not None else "-"
        figures = [f"{value:.5g}" for value in (one.min, one.median, one.max)]
        table.add_row(name, f"{one.n:,}", f"{one.mean:.5g}", f"{one.std:.4g}", error, interval, *figures)
    heading = f"{record.name}, run {record.run_id}, checkpoint {title}: returns of deterministic episodes"
    return Group(
        Text(heading, style="bold"),
        table,
        Text(f"the lowest: {worst.total:g} in {worst.length:,} steps, from seed {worst.seed} of the environment"),
    )


def _wandb(run: Summary) -> str:
    state = run.wandb or {}
    if state.get("problem"):
        return f"left out: {state['problem']}"
    if state.get("mode") == "online":
        return str(state.get("url"))
    if state.get("mode") == "offline":
        return f"offline; `lab sync {near(run.dir)}` sends it"
    return "disabled"


def _next(run: Summary) -> list[tuple[str, str]]:
    folder = near(run.dir)
    watch = [(f"lab play {folder}", "watch it, or film it")] if run.family == "agents" else []
    return [
        *watch,
        (f"lab eval {folder}", "evaluate its checkpoint again"),
        (f"lab run {folder}/config.yaml", "exactly this run once more"),
        (f"lab run {folder}/config.yaml --seed {run.seed + 1}", "the same with another seed"),
        ("lab runs", "all runs beside each other"),
    ]
