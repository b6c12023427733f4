"""What several seeds of one experiment came to, as a table."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.cli.views.panel import COLOURS
from lab.console.tables import plain, table
from lab.console.wording import count, duration, interval
from lab.seeds.results import SeedRun, SeedRuns

HOW = {"ran": "", "resumed": "resumed", "there": "already there", "elsewhere": "at work elsewhere"}


def report(found: SeedRuns) -> RenderableType:
    """A table of the seeds, and what they come to together against the published reference."""
    rows = [_row(one, found.metric) for one in found.runs]
    seeds = count(len(found.runs), "seed")
    lines: list[RenderableType] = [
        Text(f"{plain(found.name)}, {seeds}: {plain(found.metric or 'no metric')}", style="bold"),
        table(("seed", "result", "verdict", "status", "train", "run"), rows, right=("result", "train")),
        Text(),
    ]
    if found.spread and found.interquartile_mean is not None:
        some = f"{found.spread.n} of " if found.spread.n < len(found.runs) else ""
        figures = Table.grid(padding=(0, 2))
        figures.add_row("mean", f"{found.spread.mean:.5g}", f"over {some}{seeds}")
        figures.add_row("95 % of the mean", interval(found.spread.low, found.spread.high))
        figures.add_row("interquartile mean", f"{found.interquartile_mean:.5g}")
        if "value" in found.published:
            spread = found.published.get("spread")
            published = f"{found.published['value']:g}" + (f" ± {spread:g}" if spread is not None else "")
            figures.add_row("published", published, Text(found.published["source"], style="dim"))
        lines += [figures, Text()]
    colour = COLOURS[found.verdict]
    lines.append(
        Text.assemble(
            ("the mean against the reference: ", "bold"),
            (found.verdict, f"bold {colour}"),
            f": {plain(str(found.published['reason']))}",
        )
    )
    fallbacks = {
        str(one.run.dataset.get("fallback")) for one in found.runs if one.run and one.run.dataset.get("fallback")
    }
    lines += [Text(f"data: {plain(reason)}", style="bold yellow") for reason in sorted(fallbacks)]
    return Group(*lines)


def _row(one: SeedRun, metric: str) -> tuple[str, ...]:
    run = one.run
    figure = run.metrics.get(metric) if run else None
    status: str = run.status if run else "failed"
    if status == "completed" or one.how == "elsewhere":
        status = HOW[one.how] or status
    train = run.durations.get("train") if run else None
    return (
        str(one.seed),
        f"{figure:.5g}" if figure is not None else "-",
        run.verdict if run else "-",
        status if not one.exit_code else f"{status} ({one.exit_code})",
        duration(train) if train is not None else "-",
        run.run_id if run else "-",
    )
