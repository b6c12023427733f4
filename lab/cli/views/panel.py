"""What a run prints at its beginning and at its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lab.console.plain import plain
from lab.console.wording import count, duration, near, rate, word
from lab.runs.summary import Summary, runs_folder

COLOURS = {"met": "green", "missed": "yellow", "not-comparable": "magenta", "none": "white"}
"""Of a verdict."""

COMMANDS = {
    "act": ("lab play {folder}", "watch it, or film it"),
    "sample": ("lab sample {folder}", "draw samples"),
    "predict": ("lab predict {folder} INPUT", "predict for an input of your own"),
    "reconstruct": ("lab reconstruct {folder}", "draw test images again from what it keeps of them"),
    "traverse": ("lab traverse {folder}", "walk through its latents"),
    "export": ("lab export {folder}", "write it as a file for another library"),
}
"""By capability of what was trained: the command that uses it, and what that does."""


def announcement(run: Summary) -> str:
    """Return one line that says which run begins."""
    threads = f", {count(run.threads, 'thread')}" if run.device == "cpu" else ""
    return plain(f"{run.name}, seed {run.seed}, on {run.device}{threads}, {_data(run)}; folder {near(run.dir)}")


def panel(run: Summary) -> RenderableType:
    """Return the result: metrics beside what they are measured against, the costs and the folder."""
    lines: list[RenderableType] = [_metrics(run), Text(), *_verdicts(run)]
    if fallback := run.dataset.get("fallback"):
        lines.append(Text(plain(f"data: {_data(run)}, because {fallback}"), style="bold yellow"))
    lines += [Text(), _facts(run)]
    title = f"{run.name}, seed {run.seed}" + (" (fast-dev run)" if run.fast_dev_run else "")
    return Panel(Group(*lines), title=Text(plain(title)), border_style=_colour(run), expand=False)


def _metrics(run: Summary) -> Table:
    """One row per metric, with columns for the published figure, our own target, each baseline and each bound where
    there are any. Beside figures of the user's own data there are none but baselines and bounds."""
    columns = {} if run.dataset.get("path") else _measures(run)
    beside = {**run.baselines, **{f"bound: {name}": one for name, one in run.bounds.items()}}
    columns |= {name: {metric: f"{value:.5g}" for metric, value in one.items()} for name, one in beside.items()}
    shown = {name: one for name, one in columns.items() if one}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("metric")
    for title in ("this run", *shown):
        table.add_column(plain(title), justify="right")
    for name, value in run.metrics.items():
        others = (one.get(name, "") for one in shown.values())
        table.add_row(plain(name), "not finite" if value is None else f"{value:.5g}", *others)
    return table


def _data(run: Summary) -> str:
    return str(run.dataset.get("name", "unknown data"))


def _measures(run: Summary) -> dict[str, dict[str, str]]:
    return {"published": _figures(run.reference), "target": _figures(run.target)}


def _figures(measure: dict[str, Any]) -> dict[str, str]:
    """Return the figure of a reference or target by its metric."""
    if measure.get("value") is None or "metric" not in measure:
        return {}
    spread = f" ± {measure['spread']:g}" if measure.get("spread") is not None else ""
    return {measure["metric"]: f"{measure['value']:g}{spread}"}


def _verdicts(run: Summary) -> Iterator[Text]:
    """Two lines for each of reference and target: the verdict with its reason, and where the figure comes from."""
    for kind, measure, origin in (("reference", run.reference, "source"), ("target", run.target, "why")):
        verdict = str(measure.get("verdict", "none"))
        if (kind == "target" and not measure) or (kind == "reference" and verdict == "none" and run.target):
            continue
        bold = f"bold {COLOURS[verdict]}"
        yield Text.assemble((f"{kind} ", "bold"), (verdict, bold), f": {plain(str(measure.get('reason', '')))}")
        if measure.get(origin):
            yield Text(plain(f"  {measure[origin]}; {measure.get('protocol', '')}"), style="dim")


def _facts(run: Summary) -> Table:
    speed = rate(run.throughput.get("value", 0.0), run.throughput.get("unit", "")) if run.throughput else ""
    facts = Table.grid(padding=(0, 2))
    if by := (run.throughput or {}).get("by"):
        speed = f"{by}, {speed}"
    facts.add_row("device", plain(f"{run.device}, {count(run.threads, 'CPU thread')}{speed and f', {speed}'}"))
    facts.add_row("time", ", ".join(f"{stage} {duration(seconds)}" for stage, seconds in run.durations.items()))
    if run.judged:
        facts.add_row("weights", plain(run.judged))
    for need in run.needs:
        facts.add_row("uses", plain(f"{need.get('name')} of {need.get('experiment')}, run {need.get('run_id')}"))
    if run.resume.get("sessions", 1) > 1:
        exact = "exactly" if run.resume.get("exact") else f"not exactly: {run.resume.get('reason')}"
        times = run.resume["sessions"] - 1
        facts.add_row("resumed", plain(f"{'once' if times == 1 else f'{times} times'}, {exact}"))
    if run.parent:
        at = run.parent.get("checkpoint", 0)
        facts.add_row("forked", plain(f"from {run.parent.get('run_id')} at step {at:,}"))
    facts.add_row("folder", plain(near(run.dir)))
    facts.add_row("W&B", plain(_wandb(run)))
    return facts


def _wandb(run: Summary) -> str:
    state = run.wandb or {}
    if state.get("problem"):
        return f"left out: {state['problem']}"
    if state.get("mode") == "online":
        return str(state.get("url"))
    if state.get("mode") == "offline":
        return "offline"
    return "disabled"


def next_steps(run: Summary) -> list[Text]:
    """Return the commands that use the run, a line each with what it does as a comment of the shell.

    They are to be printed unbroken: what a terminal wraps can still be copied as one line.
    """
    steps = _next(run)
    width = max(len(words) for words, _ in steps)
    lines = [
        Text.assemble((plain(f"{words:{width}}"), "cyan"), (f"  # {what}", "dim"), no_wrap=True, overflow="ignore")
        for words, what in steps
    ]
    return [Text("next", style="bold"), *lines]


def _next(run: Summary) -> list[tuple[str, str]]:
    folder, runs = word(near(run.dir)), run.dir.parent.parent
    again = f"lab run {word(near(run.dir / 'config.yaml'))}{' --fast-dev-run' if run.fast_dev_run else ''}"
    where = "" if runs.resolve() == runs_folder().resolve() else f" --runs-dir {word(near(runs))}"
    uses = [COMMANDS[one] for one in run.can if one in COMMANDS]
    offline = (
        [(f"lab sync {folder}", "send it to Weights & Biases")] if (run.wandb or {}).get("mode") == "offline" else []
    )
    return [
        *offline,
        *((words.format(folder=folder), what) for words, what in uses),
        (f"lab eval {folder}", "evaluate its checkpoint again"),
        *([] if run.parent else [(again, "exactly this run once more")]),
        (f"{again} --seed {run.seed + 1}", "the same with another seed"),
        (f"lab runs{where}", "all runs beside each other"),
    ]


def _colour(run: Summary) -> str:
    verdict = run.verdict if run.verdict != "none" else str(run.target.get("verdict", "none"))
    return COLOURS[verdict]
