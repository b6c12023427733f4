"""Tables for the terminal. Cells may come from somebody else's run: they are printed as text, never as commands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text


def plain(text: str) -> str:
    """Return the text with control characters written as escapes (`\\x1b`), so that a terminal does not obey them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def table(titles: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Collection[str] = ()) -> Table:
    """Return the rows, each with a cell per title, as a table. Columns in `right` are aligned to the right."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        made.add_column(Text(plain(title)), overflow="fold", justify="right" if title in right else "left")
    for row in rows:
        made.add_row(*(Text(plain(str(cell))) for cell in row))
    return made
