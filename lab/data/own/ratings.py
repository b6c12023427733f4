"""Ratings in a csv file: a row for each, with a user, an item and a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lab.console.wording import count, shown
from lab.data.files.csv import SHEETS, Sheet, is_missing, named, parse_sheet
from lab.data.inputs.given import Given
from lab.errors import DataError, nearest

FEWEST = 20  # ratings that can be divided at all


@dataclass(frozen=True)
class Ids:
    """The users and items that a model knows. Reads the rows of a csv as pairs of them, `(N,)` each.

    Args:
        users: their ids, by number.
        items: their ids, by number.
        columns: names of the columns of users and of items.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    columns: tuple[str, str] = ("user", "item")
    suffixes: ClassVar = SHEETS

    def read(self, content: bytes, name: str) -> Given:
        """Return the pairs of a csv, whose first two columns they are where there is no header.

        Raises ConfigError where a column is missing, DataError where a user or an item is unknown.
        """
        sheet = parse_sheet(content, name)
        if sheet.headless and len(sheet.names) >= 2:
            sheet = sheet._replace(names=(*self.columns, *sheet.names[2:]))
        sheet.require(self.columns)
        cells = [sheet.cells(sheet.names.index(column)) for column in self.columns]
        pair = {key: self._numbers(sheet, key, column) for key, column in zip(("user", "item"), cells, strict=True)}
        labels = [
            {**label, "user": user, "item": item} for label, user, item in zip(sheet.labels(), *cells, strict=True)
        ]
        extra = [one for one in sheet.names if one not in self.columns]
        return Given(pair, labels, [*sheet.notes, *([f"{name}: not used: {named(extra)}"] if extra else [])])

    def _numbers(self, sheet: Sheet, key: str, cells: Sequence[str]) -> Tensor:
        known = self.places[key]
        for cell, line in zip(cells, sheet.lines, strict=True):
            if cell not in known:
                raise DataError(
                    f"{sheet.file}: the {key} {shown(cell)!r} in line {line} has no ratings in training, so there is "
                    f"nothing to predict from{'' if cell.isdecimal() else nearest(cell, known)}"
                )
        return torch.tensor([known[cell] for cell in cells])

    @cached_property
    def places(self) -> dict[str, dict[str, int]]:
        """The numbers of users and of items, by their ids."""
        every = {"user": self.users, "item": self.items}
        return {key: {name: number for number, name in enumerate(names)} for key, names in every.items()}


class OwnRatings(NamedTuple):
    """The ratings of a sheet.

    Args:
        users: numbers of the users, `(N,)`, int64.
        items: numbers of the items, `(N,)`, int64.
        ratings: `(N,)`, float32.
        ids: the users and items.
        tested: numbers of the ratings that are tested.
        notes: what its user should know, one sentence each.
    """

    users: Tensor
    items: Tensor
    ratings: Tensor
    ids: Ids
    tested: Tensor
    notes: tuple[str, ...]


def ratings_of(sheet: Sheet, fold: int, folds: int) -> OwnRatings:
    """Return the ratings: of the columns `user`, `item` and `rating` where there are such, also in capitals, else of
    the first three.

    One of the folds is tested, counted from 1. Ratings of one item by one user are in the same fold. The folds depend
    on the rows alone.

    Raises DataError where there are fewer than three columns or 20 ratings, where a row lacks one, where all are equal,
    or where no user or no item comes twice.
    """
    names = ("user", "item", "rating")
    if len(sheet.names) < 3:
        raise DataError(f"{sheet.file} has {count(len(sheet.names), 'column')}; expected three: user, item and rating")
    known = {name.casefold(): name for name in sheet.names}
    columns = tuple(known[name] for name in names) if set(names) <= known.keys() else sheet.names[:3]
    users, items, cells = (sheet.cells(sheet.names.index(name)) for name in columns)
    ratings = []
    for row, line in enumerate(sheet.lines):
        for name, cell in zip(columns, (users[row], items[row], cells[row]), strict=True):
            if is_missing(cell):
                raise DataError(f"{sheet.file}: {name} is missing in line {line}; expected a value in each row")
        number = sheet.number(cells[row])
        if number is None:
            raise DataError(f"{sheet.file}: {columns[2]} is {shown(cells[row])!r} in line {line}; expected a number")
        ratings.append(number)
    if len(ratings) < FEWEST:
        raise DataError(f"{sheet.file} has {count(len(ratings), 'rating')}; expected at least {FEWEST}")
    if min(ratings) == max(ratings):
        raise DataError(f"{sheet.file}: {columns[2]} is {ratings[0]:g} in every row; expected ratings that differ")
    ids = Ids(_different(users), _different(items), (columns[0], columns[1]))
    pair = [
        torch.tensor([places[name] for name in found])
        for places, found in zip(ids.places.values(), (users, items), strict=True)
    ]
    for name, column, found in zip(("user", "item"), columns, pair, strict=False):
        if int(found.bincount().max()) == 1:
            raise DataError(
                f"{sheet.file}: each {name} ({column}) has one rating alone, so there is nothing to learn about any; "
                "expected users and items that come several times"
            )
    numbers, pairs = np.unique((pair[0] * len(ids.items) + pair[1]).numpy(), return_inverse=True)
    drawn: Any = np.random.RandomState(0).permutation(len(numbers))  # NumPy's legacy generator never changes
    tested = torch.from_numpy(drawn[pairs] % folds == fold - 1).nonzero()[:, 0]
    notes = [*sheet.notes]
    if columns != names:
        notes.append(f"{sheet.file}: users are the column {columns[0]}, items {columns[1]} and ratings {columns[2]}")
    if extra := [name for name in sheet.names if name not in columns]:
        notes.append(f"{sheet.file}: not used: {named(extra)}")
    if len(numbers) < len(ratings):
        notes.append(
            f"{sheet.file}: {len(ratings) - len(numbers):,} ratings are of an item that the user has rated before"
        )
    return OwnRatings(pair[0], pair[1], torch.tensor(ratings, dtype=torch.float32), ids, tested, tuple(notes))


def _different(names: Sequence[str]) -> tuple[str, ...]:
    """Return each name once, in the order in which they appear."""
    return tuple(dict.fromkeys(names))
