"""Recorded runs as a table for other programs."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any

from lab.console.plain import plain
from lab.runs.fields import as_text

FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""Spreadsheets read a cell that begins with one of these as a formula. The last four are full-width forms."""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the rows as CSV with a column for every name in any row, in the order in which the names first appear.

    Numbers stay numbers. A text that a spreadsheet would execute gets an apostrophe before it, which shows it as text.
    """
    rows = list(rows)
    names = list({name: None for row in rows for name in row})
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(map(_cell, names))
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return written.getvalue()


def _cell(found: Any) -> str:
    cell = plain(as_text(found))
    harmless = not cell.lstrip().startswith(FORMULA) or _NUMBER.fullmatch(cell)
    return cell if harmless else f"'{cell}"
