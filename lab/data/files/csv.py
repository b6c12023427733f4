"""A csv file as a sheet of texts: its delimiter, its header and its lines. What the columns mean is said elsewhere."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from math import isfinite
from typing import NamedTuple

from lab.console.plain import plain
from lab.console.wording import count, some
from lab.data.files.dates import dates_of
from lab.data.files.text import decoded
from lab.errors import ConfigError, DataError, nearest

SHEETS = (".csv", ".tsv")
"""How names of csv files end."""
DELIMITERS = "\t;,"  # where several fit, the first: a comma may stand inside numbers
MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "?"})
"""What stands for a missing value, in lower case."""
LONGEST = max(map(len, MISSING))
SHOWN = 12  # names of columns in a sentence
SNIFFED = 100  # rows that the delimiter is chosen by

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}", re.ASCII)


class Sheet(NamedTuple):
    """The cells of a csv file, without spaces around them.

    Args:
        file: its name, for messages.
        names: of the columns.
        rows: the cells of each row, as many as there are columns.
        lines: where each row begins in the file, from 1.
        comma: whether numbers may have a decimal comma; not where a comma separates the cells.
        sha256: hash of the file.
        headless: whether the file has no header.
        empty: where a row without anything in its cells begins, between others.
        notes: what its user should know, one sentence each.
    """

    file: str
    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    comma: bool
    sha256: str
    headless: bool = False
    empty: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def _why_headless(self) -> str:
        return "; its first line has numbers, so it is read as data" if self.headless else ""

    def place(self, setting: str, name: str) -> int:
        """Return the number of a column. Raises ConfigError where there is none of this name."""
        if name not in self.names:
            raise ConfigError(
                f"{setting} must be a column of {self.file} ({named(self.names)}), received {name!r}"
                f"{nearest(name, self.names)}{self._why_headless}"
            )
        return self.names.index(name)

    def require(self, names: Sequence[str]) -> None:
        """Raise ConfigError where there is no column of one of these names."""
        if missing := [name for name in names if name not in self.names]:
            others = [name for name in self.names if name not in names]
            raise ConfigError(
                f"{self.file} has no column {named(missing)}; its columns are {named(self.names)}"
                f"{nearest(missing[0], others)}{self._why_headless}"
            )

    def labels(self) -> list[dict[str, int]]:
        """Return the number of each row, from 1. Rows that are left out count, as other programs keep them."""
        return [{"row": i + bisect(self.empty, line)} for i, line in enumerate(self.lines, 1)]

    def cells(self, column: int) -> list[str]:
        """Return the cells of a column, from top to bottom."""
        return [row[column] for row in self.rows]

    def numbers(self, column: int) -> list[float | None]:
        """Return the numbers of a column, from top to bottom; None where a cell holds none."""
        cells = self.cells(column)
        with suppress(ValueError):  # the fast way, where all cells are numbers
            found = [*map(float, cells)]
            written = "".join(cells)
            if written.isascii() and "_" not in written and all(map(isfinite, found)):
                return [*found]
        return [self.number(cell) for cell in cells]

    def number(self, cell: str) -> float | None:
        """Return the number that a cell holds; None where it holds none."""
        if self.comma and cell.count(",") == 1 and "." not in cell:
            cell = cell.replace(",", ".")
        return float(cell) if _NUMBER.fullmatch(cell) else None


def is_missing(cell: str) -> bool:
    """Return whether a cell stands for a missing value."""
    return len(cell) <= LONGEST and cell.lower() in MISSING


def named(names: Sequence[str]) -> str:
    """Return names of columns with commas between them; of very many, the first and how many more there are."""
    return some(names, most=SHOWN)


def parse_sheet(content: bytes, file: str) -> Sheet:
    """Return what the bytes of a csv file hold: UTF-8, with `,`, `;` or tabs between cells, and a header.

    Where the first line has a number, and no text above a column of numbers or dates, there is no header, and columns
    are named `column 1` and so on. A line 0, 1, 2... is a header, as pandas writes where columns have no names.

    Raises DataError where a line has more or fewer cells than the header, where two columns have one name, or where the
    file is empty or not UTF-8.
    """
    text = decoded(content, file, "a csv")
    delimiter = _delimiter(text)
    unquoted = delimiter == "\t" and _has_open_quotes(text)
    every = [*_records(text, delimiter, file, quoted=not unquoted)]
    records = [(line, row) for line, row in every if any(row)]
    if not records:
        raise DataError(f"{file} has no cell with anything in it")
    first, notes = records[0][1], list[str]()
    if unquoted:
        notes.append(f"quotes in {file} are part of its cells, as some are not closed")
    names = tuple(plain(" ".join(name.split())) or f"column {i + 1}" for i, name in enumerate(first))
    for line, row in records:
        if len(row) != len(first):
            cells = count(len(row), "cell")
            raise DataError(f"{file}: line {line} has {cells}, but the first line has {len(first)}")
    lines, rows = [line for line, _ in records], [row for _, row in records]
    sheet = Sheet(file, names, rows, lines, delimiter != ",", hashlib.sha256(content).hexdigest())
    if headless := not _is_header(sheet):
        names = tuple(f"column {i + 1}" for i in range(len(first)))
        notes.append(
            f"the first line of {file} has numbers, so it is read as data: columns are named {names[0]!r} to "
            f"{names[-1]!r}"
        )
    elif twice := [name for name, often in Counter(names).items() if often > 1]:
        raise DataError(f"{file} has two columns named {twice[0]!r}; give each a name of its own")
    elif len(rows) == 1:
        raise DataError(f"{file} has a header and no rows")
    else:
        rows, lines = rows[1:], lines[1:]
    if empty := _empty(every, lines, len(first)):
        notes.append(f"empty rows of {file} are left out: line {some([*map(str, empty)], most=5)}")
    sheet = sheet._replace(names=names, rows=rows, lines=lines, headless=headless, empty=empty)
    if doubtful := _in_thousands(sheet):
        notes.append(
            f"commas are decimal in {file}, since no comma separates its cells: 1,234 is 1.234. Look whether that is "
            f"right in {named(doubtful)}"
        )
    return sheet._replace(notes=tuple(notes))


def _empty(every: Sequence[tuple[int, list[str]]], lines: Sequence[int], width: int) -> tuple[int, ...]:
    """Return where rows without anything in their cells begin, among those that begin at `lines`.

    A line without even a cell is none, but where there is one column: there, spreadsheets write a missing value so. One
    after each row is no value either: some programs end lines twice.
    """
    between = [(line, row) for line, row in every if not any(row) and lines[0] < line < lines[-1]]
    bare = [line for line, row in between if not row]
    values = width == 1 and len(bare) < len(lines) - 1
    return tuple(line for line, row in between if row or values)


def _in_thousands(sheet: Sheet) -> list[str]:
    """Return the names of the columns of numbers in which each comma may separate thousands: three digits follow it."""
    if not sheet.comma:
        return []
    columns = ((name, [cell for cell in sheet.cells(i) if "," in cell]) for i, name in enumerate(sheet.names))
    return [name for name, cells in columns if cells and all(map(_THOUSANDS.fullmatch, cells))]


def _is_header(sheet: Sheet) -> bool:
    """Return whether the first row names the columns."""
    first, below = sheet.rows[0], sheet.rows[1 : 1 + SNIFFED]
    numbers = [sheet.number(cell) is not None for cell in first]
    if not any(numbers) or first == [str(i) for i in range(len(first))]:
        return True

    def names_what_is_below(column: int) -> bool:
        there = [row[column] for row in below if not is_missing(row[column])]
        if not there or numbers[column] or is_missing(first[column]):
            return False
        return all(sheet.number(cell) is not None for cell in there) or bool(
            dates_of(there) and not dates_of([first[column]])
        )

    return any(map(names_what_is_below, range(len(first))))


def _has_open_quotes(text: str) -> bool:
    """Return whether each line is a row of cells between tabs, where quotes need not be closed, as two files of
    sentences are that were put side by side."""
    rows = [line.removesuffix("\r").split("\t") for line in text.split("\n") if line.strip()]
    opened = (cell for row in rows for cell in row if cell.startswith('"'))
    return all(len(row) == len(rows[0]) for row in rows) and any(len(x) == 1 or not x.endswith('"') for x in opened)


def _records(text: str, delimiter: str, file: str, *, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield for each row the line that it begins in, and its cells."""
    read = partial(csv.reader, io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    reader = read(quoting=csv.QUOTE_MINIMAL) if quoted else read(quoting=csv.QUOTE_NONE)
    line = 1
    try:
        for row in reader:
            yield line, [cell.strip() for cell in row]
            line = reader.line_num + 1
    except csv.Error as error:
        reason = "a quote is not closed" if "unexpected end" in str(error) else str(error)
        raise DataError(f"{file} cannot be read as a csv from line {line} on: {reason}") from error


def _delimiter(text: str) -> str:
    """Return the delimiter by which most rows have as many cells as the first, which has at least two."""

    def fit(delimiter: str) -> float:
        try:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
            widths = [len(row) for row in islice(filter(any, reader), SNIFFED)]
        except csv.Error:
            return 0
        return widths.count(widths[0]) / len(widths) if widths and widths[0] > 1 else 0

    best = max(DELIMITERS, key=fit)  # the first of equals
    return best if fit(best) else ","
