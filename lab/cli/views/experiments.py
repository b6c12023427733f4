"""The experiments of `lab list` as a table, grouped by family and task, with one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.config.listing import Entry
from lab.console.plain import plain
from lab.console.wording import count

GAP = 2
"""Columns between two cells."""
WIDE = 120
"""Columns from which on the source of a published figure is shown as well."""
LEAST = 24
"""Columns that a description is left with, whatever else there is."""


def experiments_table(entries: Sequence[Entry], width: int) -> RenderableType:
    """Return a heading per family and task, and under it one line per experiment: name, description, figure."""
    figures = {one.name: _figure(one, with_source=width >= WIDE) for one in entries}
    names = max(len(one.name) for one in entries)
    most = max(map(len, figures.values()))
    figure = max(0, min(most, width - names - 2 * GAP - max(LEAST, max(len(one.description) for one in entries))))
    figure = max(figure, min(most, (width - names - 2 * GAP) // 3))
    what = max(LEAST, width - names - figure - 2 * GAP)
    lines: list[RenderableType] = []
    for (family, task), group in groupby(entries, key=lambda one: (one.family, one.task)):
        table = Table.grid(padding=(0, GAP, 0, 0))
        for columns in (names, what, figure):
            table.add_column(width=columns, no_wrap=True, overflow="ellipsis")
        for one in group:
            table.add_row(*(Text(plain(cell)) for cell in (one.name, one.description, figures[one.name])))
        lines += [Text(f"{family}: {task}", style="bold"), table, Text()]
    return Group(*lines, Text(f"{count(len(entries), 'experiment')}; `lab list WORD ...` shows those with these words"))


def _figure(entry: Entry, *, with_source: bool) -> str:
    if entry.reference and entry.differs and entry.target:
        return f"{_metric(entry.target)}{' (our own target)' if with_source else ' (ours)'}"
    if entry.reference and entry.differs:
        return f"{_metric(entry.reference)}, not comparable" if with_source else "not comparable"
    if entry.reference:
        source = f" ({entry.reference.get('source')})" if with_source else ""
        return f"{_metric(entry.reference)}{source}"
    if entry.target:
        return f"{_metric(entry.target)}{' (our own target)' if with_source else ' (ours)'}"
    return "no published figure" if with_source else "-"


def _metric(measure: Mapping[str, Any]) -> str:
    return f"{str(measure.get('metric')).rpartition('/')[2].removesuffix('_mean')} {measure.get('value'):.5g}"
