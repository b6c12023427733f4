"""Recorded runs as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from lab.console.tables import table
from lab.console.wording import count, size
from lab.runs.fields import as_text, is_number, result_metric, value
from lab.runs.select import Run
from lab.system.disk import disk

WIDEST = 60  # columns of a cell


def runs_table(runs: Sequence[Run], columns: Sequence[str], of: int | None = None) -> RenderableType:
    """Return one row per run, and below the rows how many runs there are and their size on disk.

    Args:
        runs: the rows.
        columns: names of the fields to show.
        of: number of runs before --limit.
    """
    sizes = [disk(run.record.dir) for run in runs]
    rows = [[_cell(run, name, taken) for name in columns] for run, taken in zip(runs, sizes, strict=True)]
    right = [name for name in columns if name == "disk" or _is_figure(name, runs)]
    shown = count(len(runs), "run") if of in (None, len(runs)) else f"{len(runs):,} of {count(of or 0, 'run')}"
    made = table(columns, rows, right=right)
    for column in made.columns:
        column.max_width = WIDEST
    return Group(made, Text(f"{shown}, {size(sum(sizes))}"))


def _cell(run: Run, name: str, taken: int) -> str:
    if name == "disk":
        return size(taken)
    if name == "train":
        train = run.record.durations.get("train")
        return "" if train is None else f"{train:.0f} s"
    found = value(run, name)
    shown = f"{found:.5g}" if isinstance(found, float) else as_text(found)
    return f"{result_metric(run)} {shown}" if name == "result" and shown else shown


def _is_figure(name: str, runs: Sequence[Run]) -> bool:
    return "/" in name and any(is_number(value(run, name)) for run in runs)
