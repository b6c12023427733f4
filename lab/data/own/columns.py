"""The columns of a table as numbers: what a model sees of a csv, in training and in `lab predict`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lab.console.wording import shown, some
from lab.data.files.csv import SHEETS, Sheet, is_missing, named, parse_sheet
from lab.data.inputs.given import Given
from lab.errors import DataError


@dataclass(frozen=True)
class Column:
    """A column of numbers, or of categories. What is missing among numbers is filled by their median.

    Args:
        name: in the header.
        median: of the numbers to train on; None for categories.
        categories: the different texts, sorted; empty for numbers.
        gaps: whether values are missing in the table: a feature of its own says where.
    """

    name: str
    median: float | None = None
    categories: tuple[str, ...] = ()
    gaps: bool = False

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the numbers that it becomes: itself, or one for each category; and where it is missing."""
        own = tuple(f"{self.name}={category}" for category in self.categories) or (self.name,)
        return (*own, f"{self.name} missing") if self.gaps else own

    def encode(self, sheet: Sheet) -> Tensor:
        """Return what its cells become, `(N, features)`, float32. An unknown category is none of the categories.

        Raises DataError where a cell is no number.
        """
        place = sheet.names.index(self.name)
        cells = sheet.cells(place)
        if self.median is None:
            places = {category: i for i, category in enumerate(self.categories)}
            own = torch.zeros(len(cells), len(places))
            for row, cell in enumerate(cells):
                if cell in places:
                    own[row, places[cell]] = 1
        else:
            numbers = sheet.numbers(place)
            if None in numbers:
                pairs = zip(numbers, cells, strict=True)
                numbers = [self.median if one is None and is_missing(cell) else one for one, cell in pairs]
            own = _floats(sheet, self.name, numbers, cells)[:, None]
        if not self.gaps:
            return own
        return torch.cat([own, torch.tensor([[float(is_missing(cell))] for cell in cells])], 1)

    def surprises(self, sheet: Sheet, cells: Sequence[str]) -> list[str]:
        """Return what there was no example of in training, one sentence each."""
        said = []
        filled = [row for row, cell in enumerate(cells, 1) if is_missing(cell)]
        if filled and not self.gaps:
            how = "none of its categories" if self.median is None else f"{self.median:g}, the median in training"
            said.append(f"{sheet.file}: column {self.name} is missing in {_rows(filled)}: taken as {how}")
        if self.median is None:
            unknown: dict[str, list[int]] = {}
            for row, cell in enumerate(cells, 1):
                if cell not in self.categories and not is_missing(cell):
                    unknown.setdefault(cell, []).append(row)
            said += [
                f"{sheet.file}: {self.name} is {shown(cell)!r} in {_rows(rows)}, which training had not: taken as none "
                f"of {named(self.categories)}"
                for cell, rows in unknown.items()
            ]
        return said


@dataclass(frozen=True)
class Columns:
    """The columns that a model sees, in the order of its inputs. Reads a csv by the names in its header.

    Args:
        columns: at least one.
        aside: names of columns that are no inputs, such as the target.
    """

    columns: tuple[Column, ...]
    aside: tuple[str, ...] = ()
    suffixes = SHEETS

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the F numbers of each row."""
        return tuple(feature for column in self.columns for feature in column.features)

    def filled_from(self, sheet: Sheet, training: Sequence[int]) -> Columns:
        """Return the same columns with the medians of these rows: those to train on."""

        def fitted(column: Column) -> Column:
            if column.median is None:
                return column
            every = sheet.numbers(sheet.names.index(column.name))
            numbers = [number for row in training if (number := every[row]) is not None]
            return replace(column, median=statistics.median(numbers)) if numbers else column

        return replace(self, columns=tuple(map(fitted, self.columns)))

    def encode(self, sheet: Sheet) -> Tensor:
        """Return the numbers of each row, `(N, F)`, float32. The sheet has all columns, in any order."""
        return torch.cat([one.encode(sheet) for one in self.columns], 1)

    def read(self, content: bytes, name: str) -> Given:
        """Return the rows of a csv, `(N, F)`. Raises ConfigError where a column is missing, DataError for bad cells."""
        sheet = parse_sheet(content, name)
        wanted = [one.name for one in self.columns]
        sheet.require(wanted)
        notes = list(sheet.notes)
        if extra := [one for one in sheet.names if one not in wanted and one not in self.aside]:
            notes.append(f"{name}: not used: {named(extra)}")
        for one in self.columns:
            notes += one.surprises(sheet, sheet.cells(sheet.names.index(one.name)))
        return Given(self.encode(sheet), [{"row": row + 1} for row in range(len(sheet.rows))], notes)


def of_numbers(names: Iterable[str], values: Tensor) -> Columns:
    """Return the columns of a table of numbers, `(N, F)`, in which nothing is missing."""
    medians = values.double().median(0).values.tolist()
    return Columns(tuple(Column(name, median) for name, median in zip(names, medians, strict=True)))


def found_columns(sheet: Sheet, aside: Sequence[str]) -> tuple[Columns, list[str]]:
    """Return the columns of a sheet that a model can use, and what its user should know of them, one sentence each.

    Left out are columns that never vary, that count the rows, and texts that nearly all differ, such as names.

    Args:
        sheet: with everything that there is.
        aside: names of columns that are no inputs.

    Raises DataError where a column mixes numbers and texts, or where no column is left.
    """
    found, left_out, gaps = list[Column](), list[str](), list[str]()
    for place, name in enumerate(sheet.names):
        if name in aside:
            continue
        cells = sheet.cells(place)
        there = [cell for cell in cells if not is_missing(cell)]
        reason = _useless(sheet, there, complete=len(there) == len(cells))
        column = None if reason else _column(sheet, place, cells, there)
        if not isinstance(column, Column):
            left_out.append(f"{name} ({reason or column})")
            continue
        found.append(column)
        if column.gaps:
            gaps.append(f"{name} ({len(cells) - len(there)} of {len(cells)} rows)")
    notes = list(sheet.notes)
    if left_out:
        notes.append(f"columns of {sheet.file} that are left out: {named(left_out)}")
    if gaps:
        notes.append(
            f"missing values in {named(gaps)}: numbers are filled by the median, and a column of their own says where"
        )
    if not found:
        raise DataError(f"{sheet.file} has no column to predict from: {named(left_out) or 'there is only the target'}")
    used = {one.name for one in found}
    return Columns(tuple(found), tuple(name for name in sheet.names if name not in used)), notes


MOST_CATEGORIES = 100
"""A column with more different texts is no category."""
FEW = 20
"""So many different cells may be categories even where some are numbers."""


def _useless(sheet: Sheet, there: Sequence[str], *, complete: bool) -> str | None:
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


def _floats(sheet: Sheet, name: str, numbers: Sequence[float | None], cells: Sequence[str]) -> Tensor:
    """Return the numbers, `(N,)`, float32. Raises DataError where a cell is no number, or none that float32 has."""
    what = "no number"
    if None in numbers:
        row = numbers.index(None)
    else:
        found = torch.tensor(numbers, dtype=torch.float32)
        if bool(found.isfinite().all()):
            return found
        row, what = int((~found.isfinite()).nonzero()[0]), "too large for float32"
    line = sheet.lines[row]
    raise DataError(f"{sheet.file}: column {name} has {shown(cells[row])!r} in line {line}, which is {what}")


def _rows(rows: Sequence[int]) -> str:
    return f"row {rows[0]}" if len(rows) == 1 else f"rows {some([*map(str, rows)], most=5)}"
