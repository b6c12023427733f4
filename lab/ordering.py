"""Runs in order: by any of their fields, or the best first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from lab.direction import direction
from lab.errors import ConfigError
from lab.fields import as_text, check, is_number, value
from lab.selection import Run

T = TypeVar("T")


def in_order(runs: Sequence[Run], field: str) -> list[Run]:
    """Return the runs by a field, upwards, or downwards for `-field`. Raises ConfigError for a field that none has."""
    name = field.removeprefix("-")
    check([name], runs)
    return sorted_by(runs, lambda run: value(run, name), downwards=field.startswith("-"))


def best_first(
    rows: Sequence[T], figure: Callable[[T], Any], metric: str, runs: Sequence[Run], say: Callable[[str], None]
) -> list[T]:
    """Return rows, the best first by their `figure`, which is of a metric of these runs; `say` is told which way that
    is. Raises ConfigError for a field that none of the runs has, or that is no number."""
    check([metric], runs)
    found = [one for run in runs if (one := value(run, metric)) is not None]
    if not all(map(is_number, found)):
        raise ConfigError(f"--best needs a figure, and {metric} is {as_text(found[0])!r}")
    way, why = direction(metric, runs)
    say(f"best {metric}: {'more' if way == 'max' else 'less'} is better, {why}")
    return sorted_by(rows, figure, downwards=way == "max")


def sorted_by(rows: Iterable[T], key: Callable[[T], Any], *, downwards: bool) -> list[T]:
    """Return rows by what `key` gives: numbers before texts, and last, in either direction, those that have none."""
    found = [(key(row), row) for row in rows]
    there = [((0, one, "") if is_number(one) else (1, 0, as_text(one)), row) for one, row in found if one is not None]
    in_order = sorted(there, key=lambda pair: pair[0], reverse=downwards)
    return [row for _, row in in_order] + [row for one, row in found if one is None]
