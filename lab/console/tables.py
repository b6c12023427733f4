"""Tables for the terminal. Cells may come from somebody else's run: they are printed as text, never as commands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from lab.console.plain import plain

WIDEST = 60
"""Columns of a cell that others are aligned with."""


def aligned(titles: Sequence[str], columns: Sequence[Sequence[str]], *, right: Collection[str] = ()) -> list[str]:
    """Return a heading and the rows as lines of text, one for each row, however long its cells are. This takes a
    fiftieth of the time of `table`, which matters for thousands of rows.

    Args:
        titles: of the columns.
        columns: the cells of each.
        right: titles of the columns that are aligned to the right.
    """
    padded = []
    for title, column in zip(titles, columns, strict=True):
        cells = [plain(title), *map(plain, column)]
        widths = [len(cell) if cell.isascii() else cell_len(cell) for cell in cells]
        most = min(max(widths), WIDEST)
        spaces = [" " * (most - width) for width in widths]
        if title in right:
            padded.append([space + cell for space, cell in zip(spaces, cells, strict=True)])
        else:
            padded.append([cell + space for space, cell in zip(spaces, cells, strict=True)])
    return ["  ".join(row).rstrip() for row in zip(*padded, strict=True)]


def table(titles: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Collection[str] = ()) -> Table:
    """Return the rows, each with a cell per title, as a table. Columns in `right` are aligned to the right."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        made.add_column(Text(plain(title)), overflow="fold", justify="right" if title in right else "left")
    for row in rows:
        made.add_row(*(Text(plain(str(cell))) for cell in row))
    return made
