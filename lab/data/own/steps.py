"""A series in a csv file: a row for each step of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from lab.console.wording import count, shown
from lab.data.files.csv import SHEETS, Sheet, is_missing, named, parse_sheet
from lab.data.files.dates import dates_of, harmonics_of_the_year
from lab.data.inputs.given import Given
from lab.errors import ConfigError, DataError

SEASONS = ((timedelta(hours=1), 24), (timedelta(days=1), 7), (timedelta(days=30), 12), (timedelta(days=91), 4))
"""Steps of so much time, within a tenth, with the steps of one season: a day, a week, a year and a year."""


class Steps(NamedTuple):
    """The steps of a series.

    Args:
        values: `(N, F)`, float32.
        columns: names of the F columns.
        times: a label for each of the N steps.
        period: steps of one season; 1 where the times do not tell.
        sha256: hash of the file.
        notes: what its user should know, one sentence each.
    """

    values: Tensor
    columns: tuple[str, ...]
    times: tuple[str, ...]
    period: int
    sha256: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class History:
    """Reads the last steps of a csv as the past of a forecast, `(1, T, F)`, by the names in its header.

    Args:
        past: T.
        columns: names of the columns to read.
        yearly: harmonics of the time of the year, which follow the columns among the F; dates are needed for them.
    """

    past: int
    columns: tuple[str, ...]
    yearly: int = 0
    suffixes: ClassVar = SHEETS

    def read(self, content: bytes, name: str) -> Given:
        """Return the last `past` steps. Raises ConfigError where a column or steps are missing, DataError for gaps."""
        sheet = parse_sheet(content, name)
        sheet.require(self.columns)
        if len(sheet.rows) < self.past:
            raise ConfigError(f"{name} has {count(len(sheet.rows), 'step')}, but the model looks back on {self.past}")
        left_out = len(sheet.rows) - self.past
        notes = [*sheet.notes]
        times, at = _times(sheet)
        _, odd = _require_order(sheet, times)
        notes += [one for one in (odd, _backwards(sheet, at, self.columns)) if one]
        if left_out:
            notes.append(f"{name}: the forecast follows its last {self.past} steps; the {left_out} before are not used")
        if extra := [one for place, one in enumerate(sheet.names) if one not in self.columns and place != at]:
            notes.append(f"{name}: not used: {named(extra)}")
        lines = sheet.lines[left_out:]
        empty = tuple(line for line in sheet.empty if line > lines[0])
        last = sheet._replace(rows=sheet.rows[left_out:], lines=lines, empty=empty)
        values = with_harmonics(_values(last, self.columns), times[left_out:], self.yearly, name)
        return Given(values[None], [{} if at is None else {"after": times[-1]}], notes)


def with_harmonics(values: Tensor, times: Sequence[str], yearly: int, name: str) -> Tensor:
    """Return the columns `(N, F)` and so many harmonics of the time of the year, `(N, F + 2 * yearly)`. Raises
    ConfigError where the times are no dates; `name` they are from."""
    if not yearly:
        return values
    if not (dates := dates_of(times)):
        raise ConfigError(
            f"data.yearly needs dates in the form 2026-11-29, but the first step of {name} is at {shown(times[0])}; "
            "set --data.yearly=0"
        )
    return torch.cat([values, harmonics_of_the_year(dates, yearly)], 1)


def steps_of(sheet: Sheet, columns: Sequence[str] | None) -> Steps:
    """Return the series in a sheet, whose first column may be times: texts, or numbers that grow by equal steps.

    Args:
        sheet: with a row for each step, the earliest first.
        columns: names of the columns to use; None for all that are numbers.

    Raises ConfigError where there is no such column, DataError where a step has no number, or where times are not in
    order.
    """
    times, at = _times(sheet)
    left_out = []
    if columns:
        names = [sheet.names[sheet.place("data.columns", name)] for name in columns]
    else:
        others = [name for place, name in enumerate(sheet.names) if place != at]
        useless = {name: why for name in others if (why := _useless(sheet, name))}
        names, left_out = [name for name in others if name not in useless], [*useless.values()]
        if not names:
            raise DataError(f"{sheet.file} has no column of numbers that change: {named(left_out or sheet.names)}")
    notes = list(sheet.notes)
    if left_out:
        notes.append(f"columns of {sheet.file} that are left out: {named(left_out)}")
    if falls := _backwards(sheet, at, columns or ()):
        if not columns:
            raise DataError(f"{falls}; if it is no time, --data.columns names what to forecast")
        notes.append(falls)
    values, (period, odd) = _values(sheet, names), _require_order(sheet, times)
    if not columns and at is None and len(names) > 1 and bool((values[1:, 0] > values[:-1, 0]).all()):
        notes.append(
            f"{sheet.file}: {names[0]} grows in every row, and is forecast as every other column; if it is a time, "
            "--data.columns names the others"
        )
    if odd:
        notes.append(odd)
    elif period == 1 and at is not None and not dates_of(times) and sheet.number(times[0]) is None:
        notes.append(
            f"{sheet.file}: times such as {shown(times[0])!r} are no dates in the form 2026-11-29, so that their order "
            "is not checked, and no season is known"
        )
    return Steps(values, tuple(names), times, period, sheet.sha256, tuple(notes))


def _times(sheet: Sheet) -> tuple[tuple[str, ...], int | None]:
    """Return a label for each step, and the number of the column that they are from; None where there is none."""
    cells = sheet.cells(0)
    numbers = [number for number in sheet.numbers(0) if number is not None]
    if len(sheet.names) > 1 and (not numbers or _are_days(cells)):
        return tuple(cells), 0
    growth = {round(after - before, 9) for before, after in pairwise(numbers)}
    if len(sheet.names) > 1 and len(numbers) == len(cells) > 2 and len(growth) == 1 and growth.pop() > 0:
        return tuple(cells), 0
    return tuple(f"step {i + 1}" for i in range(len(cells))), None


def _are_days(cells: Sequence[str]) -> bool:
    """Return whether numbers are days, as in 20261129."""
    return all(len(cell) == 8 and cell.isdecimal() for cell in cells) and bool(dates_of(cells))


def _useless(sheet: Sheet, name: str) -> str | None:
    """Return a column and what makes it useless, where it is no series that changes."""
    numbers = {*sheet.numbers(sheet.names.index(name))}
    if numbers == {None}:
        return f"{name} (texts)"
    return f"{name} (always {numbers.pop():g})" if len(numbers) == 1 else None


def _values(sheet: Sheet, names: Sequence[str]) -> Tensor:
    """Return the numbers of columns, `(N, F)`. Raises DataError where there is none."""
    if sheet.empty:
        raise DataError(f"{sheet.file}: line {sheet.empty[0]} is empty; a series needs a number at each step")
    columns = []
    for name in names:
        cells, numbers = sheet.cells(sheet.names.index(name)), sheet.numbers(sheet.names.index(name))
        if None in numbers:
            row = numbers.index(None)
            what = "is missing" if is_missing(cells[row]) else f"is {shown(cells[row])!r}"
            raise DataError(
                f"{sheet.file}: {name} {what} in line {sheet.lines[row]}; a series needs a number at each step"
            )
        columns.append(numbers)
    values = torch.tensor(columns, dtype=torch.float32).T.contiguous()
    if not values.isfinite().all():
        row, column = (~values.isfinite()).nonzero()[0].tolist()
        raise DataError(f"{sheet.file}: {names[column]} in line {sheet.lines[row]} is too large for float32")
    return values


def _backwards(sheet: Sheet, at: int | None, columns: Sequence[str]) -> str | None:
    """Return a sentence where the first of several columns is a number that falls from row to row, as a time that runs
    backwards; None where it does not, or is one of the columns that were asked for."""
    numbers = sheet.numbers(0)
    if at is not None or len(sheet.names) < 2 or len(numbers) < 3 or sheet.names[0] in columns:
        return None
    if not all(b is not None and a is not None and b < a for a, b in pairwise(numbers)):
        return None
    return (
        f"{sheet.file}: {sheet.names[0]} falls from row to row, as a time that runs backwards; expected a row for each "
        "step, the earliest first"
    )


def _require_order(sheet: Sheet, times: Sequence[str]) -> tuple[int, str | None]:
    """Return the steps of one season, and a sentence where steps are not equally long; 1 and None where times are no
    ISO dates. Raises DataError where a date is not after the one before."""
    dates = dates_of(times)
    if not dates:
        return 1, None
    lengths = [after - before for before, after in pairwise(dates)]
    for row, length in enumerate(lengths, 1):
        if length <= timedelta(0):
            raise DataError(
                f"{sheet.file}: line {sheet.lines[row]} is {times[row]}, which is not after {times[row - 1]} in the "
                "row before; expected a row for each step, the earliest first"
            )
    usual = sorted(lengths)[len(lengths) // 2] if lengths else timedelta(0)
    period = next((steps for step, steps in SEASONS if abs(usual - step) <= 0.1 * step), 1)
    longer = [row for row, length in enumerate(lengths, 1) if length > 1.5 * usual]
    if not longer:
        return period, None
    row = longer[0]
    return period, (
        f"{sheet.file}: line {sheet.lines[row]} is {lengths[row - 1]} after the row before, where most are {usual}: "
        "all steps are taken as equally long"
    )
