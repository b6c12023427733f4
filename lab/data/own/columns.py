"""The columns of a table as numbers: what a model sees of a csv, in training and in `lab predict`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lab.console.wording import count, shown, some
from lab.data.files.csv import SHEETS, Sheet, is_missing, named, parse_sheet
from lab.data.inputs.given import Given
from lab.errors import ConfigError, DataError


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

    def surprises(self, sheet: Sheet, numbers: Sequence[int]) -> list[str]:
        """Return what there was no example of in training, one sentence each. `numbers` are those of the rows."""
        said = []
        cells = sheet.cells(sheet.names.index(self.name))
        filled = [row for row, cell in zip(numbers, cells, strict=True) if is_missing(cell)]
        if filled and not self.gaps:
            how = "none of its categories" if self.median is None else f"{self.median:g}, the median in training"
            said.append(f"{sheet.file}: column {self.name} is missing in {_rows(filled)}: taken as {how}")
        if self.median is None:
            unknown: dict[str, list[int]] = {}
            for row, cell in zip(numbers, cells, strict=True):
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

    def fitted(self, sheet: Sheet, training: Sequence[int]) -> tuple[Columns, list[str]]:
        """Return the columns that vary in these rows, those to train on, with the medians, categories and gaps that
        these have; and what the user should know of them, one sentence each.

        Raises DataError where none varies.
        """
        kept, constant, missing, unseen = list[Column](), list[str](), list[str](), list[str]()
        for column in self.columns:
            place = sheet.names.index(column.name)
            every, cells = sheet.numbers(place), sheet.cells(place)
            there = [row for row in training if not is_missing(cells[row])]
            different = sorted({cells[row] for row in there})
            gaps = len(there) < len(training)
            if not different or (len(different) == 1 and not gaps):
                constant.append(column.name)
                continue
            if empty := sum(map(is_missing, cells)):
                (missing if gaps else unseen).append(f"{column.name} ({empty} of {len(cells)} rows)")
            if column.median is None:
                kept.append(replace(column, categories=tuple(different), gaps=gaps))
            else:
                numbers = [number for row in there if (number := every[row]) is not None]
                kept.append(replace(column, median=statistics.median(numbers), gaps=gaps))
        if not kept:
            raise DataError(f"{sheet.file} has no column that varies in the rows to train on: {named(constant)}")
        filled = "numbers are filled by the median, a missing text is none of the categories"
        notes = []
        if constant:
            notes.append(
                f"columns of {sheet.file} that are left out, as they never vary in the rows to train on: "
                f"{named(constant)}"
            )
        if missing:
            notes.append(f"missing values in {named(missing)}: {filled}, and a column of their own says where")
        if unseen:
            notes.append(f"missing values in {named(unseen)}, none of them in the rows to train on: {filled}")
        return Columns(tuple(kept), (*self.aside, *constant)), notes

    def encode(self, sheet: Sheet) -> Tensor:
        """Return the numbers of each row, `(N, F)`, float32. The sheet has all columns, in any order."""
        return torch.cat([one.encode(sheet) for one in self.columns], 1)

    def read(self, content: bytes, name: str) -> Given:
        """Return the rows of a csv, `(N, F)`. Raises ConfigError where a column is missing, DataError for bad cells."""
        sheet = parse_sheet(content, name)
        wanted = [one.name for one in self.columns]
        self._require_places(sheet, wanted)
        sheet.require(wanted)
        notes = list(sheet.notes)
        if extra := [one for one in sheet.names if one not in wanted and one not in self.aside]:
            notes.append(f"{name}: not used: {named(extra)}")
        labels = sheet.labels()
        numbers = [label["row"] for label in labels]
        for one in self.columns:
            notes += one.surprises(sheet, numbers)
        return Given(self.encode(sheet), labels, notes)

    def _require_places(self, sheet: Sheet, wanted: Sequence[str]) -> None:
        """Raise ConfigError where columns without names may stand at other places than in training. Those after all
        inputs, as the target by default, may be missing."""
        every = sorted((*wanted, *self.aside), key=lambda name: (len(name), name))  # column 2 before column 10
        last = every.index(max(wanted, key=every.index)) + 1
        fits = {len(every)} if any(name in self.aside for name in every[:last]) else range(last, len(every) + 1)
        if sheet.headless and len(sheet.names) not in fits:
            raise ConfigError(
                f"{sheet.file} has {count(len(sheet.names), 'column')} without names, and the table that the model was "
                f"trained on has {len(every)}, of which {named(wanted)} are inputs; give it the same columns"
            )


def of_numbers(names: Iterable[str], values: Tensor) -> Columns:
    """Return the columns of a table of numbers, `(N, F)`, in which nothing is missing."""
    medians = values.double().median(0).values.tolist()
    return Columns(tuple(Column(name, median) for name, median in zip(names, medians, strict=True)))


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
