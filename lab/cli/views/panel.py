"""What a run says at its beginning and its end."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lab.console.wording import duration, near
from lab.runs.summary import Summary

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
