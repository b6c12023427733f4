"""Curves of a run, read from its journal. A report has millions of rows, so that this must be fast."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from lab.report.figures.thinning import thin
from lab.tracking.journal import METRICS, lines_of

Array = NDArray[np.float64]

MOST_METRICS = 300  # of one run
MOST_ROWS = 20_000  # of one metric; more are thinned at once, with extremes kept
MOST_POINTS = 20_000_000  # of all metrics, three numbers of eight bytes each: more are thinned while they are read
MOST_NAMES = 100_000  # of metrics beyond the limit that are counted


@dataclass(frozen=True)
class Series:
    """One metric of one run, as logged: `(rows,)` each, in the order of the axis.

    Args:
        axis: what the rows count, such as `env_steps`.
        at: where on that axis.
        seconds: since the run started, by the wall clock.
        values: finite all.
    """

    axis: str
    at: Array
    seconds: Array
    values: Array


@dataclass
class Curves:
    """The metrics in a run's journal by name, and how much of it could not be used."""

    series: dict[str, Series] = field(default_factory=dict)
    rows: int = 0
    damaged: int = 0
    not_finite: int = 0
    left_out: int = 0
    """Metrics beyond the limit."""
    unread: str = ""
    """Why the rest of the journal was not read, in a sentence."""


def read_curves(folder: Path, started: float | None = None) -> Curves:
    """Read a run's journal. An incomplete last row is left out; lines that are not rows are counted.

    `started` is when the run began, in seconds since the epoch; None for the time of its first row.
    """
    found, parts, names = Curves(), _Parts(), set[tuple[str, str]]()
    begin = math.inf if started is None else started
    try:
        with _no_collector():
            for lines in lines_of(folder / METRICS):
                for axis, at, times, columns in _layouts(_parsed(lines), found):
                    begin = min(begin, float(times.min()))  # a fork has rows of its parent
                    for name, values in columns:
                        good = np.isfinite(values)
                        found.not_finite += int((~good).sum())
                        piece = (at, times, values) if good.all() else (at[good], times[good], values[good])
                        if not parts.add((name, axis), piece) and len(names) < MOST_NAMES:
                            names.add((name, axis))
    except OSError:
        return Curves()
    except ValueError as error:
        found.unread = str(error)
    found.left_out = len(names)
    for (name, axis), (at, times, values) in parts.joined():
        if len(values):
            title = f"{name} ({axis})" if name in found.series else name
            found.series[title] = _ordered(axis, at, times - begin, values)
    return found


Piece = tuple[Array, Array, Array]
"""Where on the axis, when, and the values."""


class _Parts:
    """What was read of each metric so far. Of very many rows, each metric is thinned whenever memory asks for it."""

    def __init__(self) -> None:
        self.pieces: dict[tuple[str, str], list[Piece]] = {}
        self.points = 0

    def add(self, key: tuple[str, str], piece: Piece) -> bool:
        """Take more rows of a metric; return whether it is not beyond the limit."""
        if key not in self.pieces and len(self.pieces) >= MOST_METRICS:
            return False
        self.pieces.setdefault(key, []).append(piece)
        self.points += len(piece[0])
        if self.points > MOST_POINTS:
            self.pieces = {name: [_thinned(*_joined(pieces))] for name, pieces in self.pieces.items()}
            self.points = sum(len(one[0][0]) for one in self.pieces.values())
        return True

    def joined(self) -> Iterator[tuple[tuple[str, str], Piece]]:
        """Yield each metric with all of its rows."""
        yield from ((key, _joined(pieces)) for key, pieces in self.pieces.items())


def _joined(pieces: list[Piece]) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    at, times, values = map(np.concatenate, zip(*pieces, strict=True))
    return at, times, values


def _ordered(axis: str, at: Array, seconds: Array, values: Array) -> Series:
    if (np.diff(at) < 0).any():
        order = np.argsort(at, kind="stable")
        at, seconds, values = at[order], seconds[order], values[order]
    return Series(axis, *_thinned(at, seconds, values))


def _thinned(at: Array, times: Array, values: Array) -> Piece:
    if len(at) <= MOST_ROWS:
        return at, times, values
    kept = thin(MOST_ROWS, values)
    return at[kept], times[kept], values[kept]


def _parsed(lines: list[bytes]) -> list[Any]:
    """Each line as a value; None where it is not JSON."""

    def parsed(line: bytes) -> Any:
        try:
            return orjson.loads(line)
        except orjson.JSONDecodeError:
            return None

    try:
        return list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        return list(map(parsed, lines))


def _layouts(parsed: list[Any], found: Curves) -> Iterator[tuple[str, Array, Array, list[tuple[str, Array]]]]:
    """Yield (axis, at, times, metrics) for each set of rows with the same keys: whole columns are fast to read."""
    layouts: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in parsed:
        try:
            layouts.setdefault((row["axis"], *row), []).append(row)
        except (TypeError, KeyError):  # not an object, or without an axis
            found.damaged += 1
    for (axis, *names), rows in layouts.items():
        if not isinstance(axis, str) or axis not in names or "time" not in names:
            found.damaged += len(rows)
            continue
        at, times = _column(axis, rows), _column("time", rows)
        usable = np.isfinite(at) & np.isfinite(times)
        found.rows += int(usable.sum())
        found.damaged += int((~usable).sum())
        columns = [(name, _column(name, rows)) for name in names if name not in ("time", "axis", axis)]
        if usable.all():
            yield axis, at, times, columns
        elif usable.any():
            yield axis, at[usable], times[usable], [(name, values[usable]) for name, values in columns]


def _column(name: str, rows: list[dict[str, Any]]) -> Array:
    """One value of each row; NaN where it is not a number."""
    values = list(map(itemgetter(name), rows))
    if not {int, float}.issuperset(map(type, values)):
        values = [value if type(value) in (int, float) else math.nan for value in values]
    return np.array(values, dtype=np.float64)


@contextmanager
def _no_collector() -> Iterator[None]:
    """Turn off the garbage collector, which would scan all rows again and again while they are read."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()
