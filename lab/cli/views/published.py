"""A published table beside our figures, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from lab.cli.views.panel import COLOURS
from lab.console.plain import plain
from lab.console.tables import table as rows_of
from lab.console.wording import count, duration, shown
from lab.published.results import Result
from lab.published.table import Table

TITLES = ("row", "published", "ours", "difference", "verdict", "budget", "train", "on", "run")


def results_table(table: Table, found: Sequence[Result]) -> RenderableType:
    """Return a heading with the source, one row per row, and the protocol."""
    below = [f"{table.unit}; {table.source}, read {table.read}", f"protocol: {table.protocol}"]
    if table.differs:
        below.append(f"not comparable: {table.differs}")
    return Group(
        Text(plain(table.title), style="bold"),
        rows_of(TITLES, map(_row, found), right=("published", "ours", "difference", "train")),
        *(Text(plain(line), style="dim") for line in below),
    )


def _row(one: Result) -> tuple[object, ...]:
    if one.run is None or one.figure is None:
        return (one.row.name, shown(one.row.value), "", "", one.reason, "", "", "", "")
    record = one.run.record
    return (
        one.row.name,
        shown(one.row.value),
        f"{one.figure:.2f}",
        f"{one.difference:+.2f}",
        Text(one.verdict, style=COLOURS[one.verdict]),
        one.shorter.removeprefix("a shortened budget: ") or "full",
        duration(float(record.durations.get("train") or 0)),
        f"{record.device}, {count(record.threads, 'thread')}" if record.threads else record.device,
        record.run_id,
    )
