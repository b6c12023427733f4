"""The classes of a csv's rows, and which rows belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from lab.console.wording import some
from lab.data.files.csv import Sheet, is_missing, named
from lab.errors import ConfigError, DataError

MOST_CLASSES = 100
EXACT = 2**53
"""Larger whole numbers, such as ids of 18 digits, are texts: as numbers, different ones would be equal."""
FEW_NUMBERS = 20
"""So many different numbers are classes even where they have decimals."""


def classes_of(sheet: Sheet, target: str) -> tuple[Tensor, tuple[str, ...]]:
    """Return the classes of the rows, `(N,)` int64, and their names: numbers in order, or texts in order.

    Raises ConfigError where there is no such column, DataError where a row has no class, where all have one, where a
    class has a single row, or where the values are no classes: too many different numbers or texts.
    """
    place = sheet.place("data.target", target)
    cells, numbers = _complete(sheet, place, f"the target {target}"), sheet.numbers(place)
    numeric = [number for number in numbers if number is not None and abs(number) <= EXACT]
    if len(numeric) == len(cells):
        different = sorted(set(numeric))
        if len(different) > (MOST_CLASSES if all(one.is_integer() for one in different) else FEW_NUMBERS):
            raise DataError(
                f"{sheet.file}: the target {target} has {len(different)} different numbers ({_few(different)}), so it "
                f"is no class; name the column of the classes by --data.target: {named(sheet.names)}"
            )
        names, keys = tuple(_name(number) for number in different), numeric
        places: dict[str | float, int] = {key: i for i, key in enumerate(different)}
        labels = [places[key] for key in keys]
    else:
        names = tuple(sorted(set(cells)))
        if len(names) > MOST_CLASSES:
            raise DataError(
                f"{sheet.file}: the target {target} has {len(names)} different texts, more than {MOST_CLASSES}, so "
                f"it is no class; name the column of the classes by --data.target: {named(sheet.names)}"
            )
        labels = [names.index(cell) for cell in cells]
    if len(names) == 1:
        raise DataError(
            f"{sheet.file}: the target {target} is {names[0]!r} in every row; expected at least two classes"
        )
    counts = Counter(labels)
    for number, name in enumerate(names):
        if counts[number] == 1:
            line = sheet.lines[labels.index(number)]
            raise DataError(
                f"{sheet.file}: class {name!r} of {target} has a single row, in line {line}; expected at least two, "
                "one to train on and one to test on"
            )
    return torch.tensor(labels), names


def groups_of(sheet: Sheet, group: str, target: str) -> Tensor:
    """Return for each row the number of its group, `(N,)` int64: rows with the same text in the column `group`.

    Raises ConfigError where there is no such column, or where it is the target; DataError where a row has no group.
    """
    place = sheet.place("data.group", group)
    if group == target:
        raise ConfigError(f"data.group and data.target must be two columns, received {group!r} for both")
    return _numbered([(cell,) for cell in _complete(sheet, place, f"the group {group}")])


def copies_of(sheet: Sheet, names: Sequence[str]) -> Tensor | None:
    """Return for each row a number that identical rows share, `(N,)` int64; None where no two are identical.

    Args:
        sheet: with the rows.
        names: of the columns that are compared.
    """
    places = [sheet.names.index(name) for name in names]
    found = _numbered([tuple(row[place] for place in places) for row in sheet.rows])
    return found if int(found.max()) + 1 < len(found) else None


def _numbered(keys: Sequence[tuple[str, ...]]) -> Tensor:
    numbers: dict[tuple[str, ...], int] = {}
    return torch.tensor([numbers.setdefault(key, len(numbers)) for key in keys])


def _complete(sheet: Sheet, place: int, what: str) -> list[str]:
    """Return the cells of a column. Raises DataError where one is missing."""
    cells = sheet.cells(place)
    gaps = [line for cell, line in zip(cells, sheet.lines, strict=True) if is_missing(cell)]
    if gaps:
        where = f"line{'s' * (len(gaps) > 1)} {some([*map(str, gaps)], most=5)}"
        raise DataError(f"{sheet.file}: {what} is missing in {where}; expected a value in every row")
    return cells


def _name(number: float) -> str:
    """Return a number so that no other has this name."""
    return str(int(number)) if number.is_integer() else repr(number)


def _few(numbers: Sequence[float]) -> str:
    return f"{numbers[0]:g}, {numbers[1]:g}, ... {numbers[-1]:g}"
