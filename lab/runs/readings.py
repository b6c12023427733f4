"""Figures of a run, read so that a damaged or foreign summary does no harm."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from lab.runs.select import Run

LONGEST = 80  # characters of a status
MOST = 1e150
"""No figure is as large. Deviations of smaller ones are finite."""


def own_or_all(runs: Iterable[Run]) -> list[Run]:
    """Return the user's own runs; all of them where none is: figures of somebody else enter no mean of the user's."""
    there = list(runs)
    return [run for run in there if run.record.mine] or there


def figure(run: Run, metric: str | None) -> float | None:
    """Return the run's figure under that metric; None where it has none."""
    return number(run.record.metrics.get(metric)) if metric else None


def noise(run: Run, metric: str | None) -> float | None:
    """Return the standard deviation of the run's figure over its episodes; None where it has none."""
    return number(run.record.metrics.get(f"{str(metric).removesuffix('_mean')}_std"))


def episodes_of(run: Run) -> int:
    """Return how many episodes the run's figures are means of; 0 where they are of none."""
    counts = (number(run.value(name)) for name in run.roles.episodes)
    return int(next((count for count in counts if count is not None), 0))


def unfit(run: Run, score: float | None) -> str:
    """Return why a run counts in no mean, in words; empty where it does.

    `score` is its figure; None where it has no finite one.
    """
    if run.record.fast_dev_run:
        return "made with --fast-dev-run"
    if run.status != "completed":
        return "still running" if run.status == "running" else str(run.status)[:LONGEST]
    return "without a finite figure" if score is None else ""


def seed_of(run: Run) -> int:
    """Return the run's seed; 0 where a damaged summary has none."""
    return int(number(run.record.seed) or 0)


def number(value: Any) -> float | None:
    """Return a number as a float; None for anything else, and for one so large that its square is infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -MOST < value < MOST else None


WHOLE = range(-(2**63), 2**63)
"""What every library takes as a whole number."""
LARGEST = sys.float_info.max

Fits = Callable[[Any], bool]


def wrong_field(cls: type, values: Mapping[str, Any]) -> str | None:
    """Return the name of a field whose value is not of the type that the class declares for it, or None.

    Numbers must be finite, whole ones have at most 64 bits. `Annotated[int, range(10)]` bounds a number, and
    `Annotated[dict[str, Any], {"name": str}]` declares some entries of a mapping, which may be absent.
    """
    return _first_wrong(_tests(cls), values)


@cache
def _tests(cls: type) -> dict[str, Fits]:
    return {name: _fits(hint) for name, hint in get_type_hints(cls, include_extras=True).items()}


def _first_wrong(tests: Mapping[str, Fits], values: Mapping[str, Any]) -> str | None:
    for name, fits in tests.items():  # a loop is the fastest: thousands of summaries are read at once
        if name in values and not fits(values[name]):
            return name
    return None


def _fits(hint: Any) -> Fits:
    """Return the test whether a value of JSON is of a type."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _bounded(_fits(inner[0]), inner[1])
    if origin in (Union, UnionType):
        one, other = map(_fits, inner)
        return lambda value: one(value) or other(value)
    if origin is Literal:
        return lambda value: type(value) is str and value in inner
    if origin is list:
        each = _fits(inner[0])
        return lambda value: type(value) is list and all(map(each, value))
    if origin is dict:
        each = _fits(inner[1])
        return lambda value: type(value) is dict and all(map(each, value.values()))
    return PLAIN[hint]


def _bounded(fits: Fits, more: Any) -> Fits:
    if isinstance(more, range):
        return lambda value: fits(value) and value in more
    tests = {name: _fits(hint) for name, hint in more.items()}
    return lambda value: fits(value) and (value is None or _first_wrong(tests, value) is None)


PLAIN: dict[Any, Fits] = {
    Any: lambda value: True,
    NoneType: lambda value: value is None,
    bool: lambda value: type(value) is bool,
    str: lambda value: type(value) is str,
    int: lambda value: type(value) is int and value in WHOLE,
    float: lambda value: (type(value) is float or type(value) is int) and -LARGEST <= value <= LARGEST,
}
"""The tests of plain types."""
