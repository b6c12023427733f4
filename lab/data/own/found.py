"""Which columns of a user's csv a model can use, and what of each."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from lab.console.wording import shown
from lab.data.files.csv import Sheet, is_missing, named
from lab.data.own.columns import Column, Columns
from lab.errors import DataError

MOST_CATEGORIES = 100
"""A column with more different texts is no category."""
FEW = 20
"""So many different cells may be categories even where some are numbers."""
INDICES = {"id", "index", "unnamed: 0"}
"""Names that say in lower case that a column numbers the rows."""


def found_columns(sheet: Sheet, aside: Sequence[str]) -> tuple[Columns, list[str]]:
    """Return the columns of a sheet that a model can use, and what its user should know of them, one sentence each.

    Left out are columns that never vary, that count the rows, and texts that nearly all differ, such as names.

    Args:
        sheet: with everything that there is.
        aside: names of columns that are no inputs.

    Raises DataError where a column mixes numbers and texts, or where no column is left.
    """
    found, left_out = list[Column](), list[str]()
    for place, name in enumerate(sheet.names):
        if name in aside:
            continue
        cells = sheet.cells(place)
        there = [cell for cell in cells if not is_missing(cell)]
        reason = _useless(there, complete=len(there) == len(cells)) or _index(sheet, place, there)
        column = None if reason else _column(sheet, place, cells, there)
        if not isinstance(column, Column):
            left_out.append(f"{name} ({reason or column})")
            continue
        found.append(column)
    notes = list(sheet.notes)
    if left_out:
        notes.append(f"columns of {sheet.file} that are left out: {named(left_out)}")
    if not found:
        raise DataError(f"{sheet.file} has no column to predict from: {named(left_out) or 'there is only the target'}")
    used = {one.name for one in found}
    return Columns(tuple(found), tuple(name for name in sheet.names if name not in used)), notes


def _index(sheet: Sheet, place: int, there: Sequence[str]) -> str | None:
    """Return why a column is the number of each row, in any order, as in a part of a larger table; None where it is
    not."""
    name = sheet.names[place]
    unnamed = not sheet.headless and name == f"column {place + 1}"
    if not (unnamed or name.casefold() in INDICES) or len(set(there)) < len(there):
        return None
    return "numbers the rows" if all(cell.isdecimal() for cell in there) else None


def _useless(there: Sequence[str], *, complete: bool) -> str | None:
    """Return why a column with these cells says nothing; None where it may. `complete` where none is missing."""
    if not there:
        return "empty"
    if complete and len(set(there)) == 1:
        return f"always {there[0]}"
    counted = complete and there[0] in ("0", "1") and all(cell == str(i) for i, cell in enumerate(there, int(there[0])))
    return "counts the rows" if counted and len(there) > 2 else None


def _column(sheet: Sheet, place: int, cells: Sequence[str], there: Sequence[str]) -> Column | str:
    """Return a column of numbers or of categories, or why it is neither. `there` are the cells that are not missing."""
    name, gaps = sheet.names[place], len(there) < len(cells)
    numbers = sheet.numbers(place)
    known = [number for number in numbers if number is not None]
    if len(known) == len(there):
        return Column(name, statistics.median(known), gaps=gaps)
    different = sorted(set(there))
    if len(different) > FEW and 2 * len(known) > len(there):
        row = next(i for i, cell in enumerate(cells) if numbers[i] is None and not is_missing(cell))
        raise DataError(
            f"{sheet.file}: column {name} has numbers, but {shown(cells[row])!r} in line {sheet.lines[row]}; correct "
            "it, or leave it empty where the number is not known"
        )
    if len(different) > MOST_CATEGORIES or len(different) == len(there) > 2:
        return f"{len(different):,} different texts in {len(there):,} rows, such as {shown(there[0], 20)!r}"
    return Column(name, categories=tuple(different), gaps=gaps)
