"""The results of several runs of one experiment as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from lab.cli.views.panel import COLOURS
from lab.console.plain import plain
from lab.console.tables import table
from lab.console.wording import count, duration, interval, shown
from lab.seeds.results import Outcome, Trial, Trials
from lab.seeds.vary import SEED, named

HOW = {"ran": "", "resumed": "resumed", "there": "already there", "elsewhere": "running elsewhere"}


def trials_report(found: Trials) -> RenderableType:
    """Return one row per run, and the mean over the runs that differ only in seed and fold."""
    metrics = {outcome.group.metric or "" for outcome in found.outcomes if outcome.group}
    target = any(outcome.target for outcome in found.outcomes)
    runs = count(len(found.trials), "seed" if found.varied == (SEED,) else "run")
    titles = (*(name.rpartition(".")[2] for name in found.varied), "result", "verdict", *(["target"] if target else []))
    rows = [_row(trial, outcome, target=target) for outcome in found.outcomes for trial in outcome.trials]
    heading = f"{plain(found.name)}, {runs}: {plain(' or '.join(sorted(metrics)) or 'no metric')}"
    lines: list[RenderableType] = [
        Text(heading, style="bold"),
        table((*titles, "status", "train", "run"), rows, right=("result", "train")),
        Text(),
    ]
    for outcome in found.outcomes:
        lines += _together(outcome, alone=len(found.outcomes) == 1, seeds=found.varied == (SEED,))
    recorded = [trial.run for trial in found.trials if trial.run]
    reasons = {str(run.dataset["fallback"]) for run in recorded if run.dataset.get("fallback")}
    lines += [Text(f"data: {plain(reason)}", style="bold yellow") for reason in sorted(reasons)]
    return Lines(*lines)


def _together(outcome: Outcome, *, alone: bool, seeds: bool) -> list[RenderableType]:
    """Return the mean of one group of runs with its verdicts."""
    lines: list[RenderableType] = [] if alone else [Text(plain(named(outcome.settings)), style="bold")]
    group = outcome.group
    if group and group.spread and group.interquartile_mean is not None:
        runs = count(len(outcome.trials), "seed" if seeds else "run")
        some = f"{group.spread.n} of " if group.spread.n < len(outcome.trials) else ""
        figures = Table.grid(padding=(0, 2))
        figures.add_row("mean", f"{group.spread.mean:.5g}", f"over {some}{runs}")
        figures.add_row("95 % of the mean", interval(group.spread.low, group.spread.high))
        figures.add_row("interquartile mean", f"{group.interquartile_mean:.5g}")
        for kind, figures_beside in (("baseline", group.baselines), ("bound", group.bounds)):
            for name, value in figures_beside.items():
                figures.add_row(kind, f"{value:.5g}", Text(plain(shown(name)), style="dim"))
        own = any(trial.run and trial.run.dataset.get("path") for trial in outcome.trials)
        if "value" in outcome.reference and not own:
            spread = outcome.reference.get("spread")
            published = f"{outcome.reference['value']:g}" + (f" ± {spread:g}" if spread is not None else "")
            figures.add_row("published", published, Text(plain(outcome.reference["source"]), style="dim"))
        if outcome.target and not own:
            figures.add_row("target", f"{outcome.target['value']:g}", Text(plain(outcome.target["why"]), style="dim"))
        lines += [figures, Text()]
    lines.append(_verdict("the mean against the reference: ", outcome.reference))
    if outcome.target:
        lines.append(_verdict("the mean against the target: ", outcome.target))
    return lines if alone else [*lines, Text()]


def _verdict(words: str, judged: dict[str, Any]) -> Text:
    colour = COLOURS[judged["verdict"]]
    return Text.assemble((words, "bold"), (judged["verdict"], f"bold {colour}"), f": {plain(str(judged['reason']))}")


def _row(trial: Trial, outcome: Outcome, *, target: bool) -> Sequence[str]:
    run = trial.run
    figure = run.metrics.get(outcome.group.metric or "") if run and outcome.group else None
    status: str = run.status if run else "failed"
    if status == "completed" or trial.how == "elsewhere":
        status = HOW[trial.how] or status
    train = run.durations.get("train") if run else None
    verdicts = [run.verdict if run else "-", *([str(run.target.get("verdict", "-")) if run else "-"] if target else [])]
    return (
        *map(str, trial.settings.values()),
        f"{figure:.5g}" if figure is not None else "-",
        *verdicts,
        status if not trial.exit_code else f"{status} ({trial.exit_code})",
        duration(train) if train is not None else "-",
        run.run_id if run else "-",
    )
