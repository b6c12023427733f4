"""Curves of a run, read from its journal. A report has millions of rows, so that this must be fast."""

from __future__ import annotations

import gc
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
from lab.system.opening import open_plain
from lab.tracking.journal import METRICS

Array = NDArray[np.float64]

MOST_METRICS = 300  # of one run
MOST_ROWS = 20_000  # of one metric; more are thinned at once, with extremes kept


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


def read_curves(folder: Path, started: float | None = None) -> Curves:
    """Read a run's journal. An incomplete last row is left out; lines that are not rows are counted.

    `started` is when the run began, in seconds since the epoch; None for the time of its first row.
    """
    try:
        with open_plain(folder / METRICS, folder) as file:
            content = file.read()
    except OSError:
        return Curves()
    with _no_collector():
        found = Curves()
        layouts = list(_layouts(_parsed(content.split(b"\n")[:-1]), found))
    begin = min((float(times.min()) for _, _, times, _ in layouts), default=0.0)
    begin = begin if started is None else min(started, begin)  # a fork has rows of its parent
    parts: dict[tuple[str, str], list[tuple[Array, Array, Array]]] = {}
    for axis, at, times, columns in layouts:
        seconds = times - begin
        for name, values in columns:
            parts.setdefault((name, axis), []).append((at, seconds, values))
    found.left_out = max(0, len(parts) - MOST_METRICS)
    for (name, axis), pieces in list(parts.items())[:MOST_METRICS]:
        at, seconds, values = pieces[0] if len(pieces) == 1 else map(np.concatenate, zip(*pieces, strict=True))
        good = np.isfinite(values)
        if not good.all():
            found.not_finite += int((~good).sum())
            at, seconds, values = at[good], seconds[good], values[good]
        if len(values):
            title = f"{name} ({axis})" if name in found.series else name
            found.series[title] = _ordered(axis, at, seconds, values)
    return found


def _ordered(axis: str, at: Array, seconds: Array, values: Array) -> Series:
    if (np.diff(at) < 0).any():
        order = np.argsort(at, kind="stable")
        at, seconds, values = at[order], seconds[order], values[order]
    if len(at) > MOST_ROWS:
        kept = thin(MOST_ROWS, values)
        at, seconds, values = at[kept], seconds[kept], values[kept]
    return Series(axis, at, seconds, values)


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
    try:
        column = np.array(values)
        if column.dtype.kind in "fi" and column.ndim == 1:
            return column.astype(np.float64, copy=False)
    except ValueError:  # lists of different lengths
        pass
    return np.array([value if type(value) in (int, float) else np.nan for value in values])


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
