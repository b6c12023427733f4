"""Sorting runs: by any field, or the best first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from lab.errors import ConfigError
from lab.runs.fields import MEAN, as_text, check, is_number, value
from lab.runs.readings import own_or_all
from lab.runs.select import Run

Direction = Literal["max", "min"]

LESS = frozenset(
    {
        "loss",
        "nll",
        "error",
        "fid",
        "distance",
        "mse",
        "mae",
        "rmse",
        "perplexity",
        "kl",
        "std",
        "seconds",
        "ece",
        "cost",
    }
)
"""Words in the name of a metric for which less is better, unless a reference says otherwise."""
MORE = frozenset({"accuracy", "auroc", "auc", "f1", "ap50", "iou", "psnr", "ndcg", "recall", "precision", "return"})
"""Words for which more is better."""


def direction(metric: str, runs: Iterable[Run]) -> tuple[Direction, str]:
    """Return whether more (`max`) or less (`min`) of a metric is better, and the reason in words.

    The published references of the user's own runs, or of all where none is, say it of their own metric; where none
    does, or two contradict each other, the words of its name do; where these say nothing, or both, the targets do. A
    target does not stand before the name: it may be that a network fails.
    """
    own = own_or_all(runs)
    if known := _said([run.record.reference for run in own], metric):
        return known, "as the published reference says"
    words = re.split(r"[/_.\-]", metric)
    less, more = ([word for word in words if word in known] for known in (LESS, MORE))
    if "std" in less:  # a deviation, of whatever it is
        more = []
    if bool(less) != bool(more):
        return ("min" if less else "max"), f"judged by {(less or more)[0]!r} in its name"
    if known := _said([run.record.target for run in own], metric):
        return known, "as the target says"
    return "max", f"judged by {more[0]!r} in its name" if more else "since nothing in its name says otherwise"


def _said(measures: Sequence[Mapping[str, Any]], metric: str) -> Direction | None:
    """Return the direction that references or targets of a metric agree on; None where they do not, or there is
    none."""
    said = {one.get("direction") for one in measures if one.get("metric") in (metric, metric + MEAN)}
    return "max" if said == {"max"} else "min" if said == {"min"} else None


T = TypeVar("T")


def in_order(runs: Sequence[Run], field: str) -> list[Run]:
    """Return the runs sorted by a field, descending for `-field`. Raises ConfigError for a field that no run has."""
    name = field.removeprefix("-")
    check([name], runs)
    return sorted_by(runs, lambda run: value(run, name), downwards=field.startswith("-"))


def best_first(
    rows: Sequence[T], figure: Callable[[T], Any], metric: str, runs: Sequence[Run], say: Callable[[str], None]
) -> list[T]:
    """Return rows by their `figure` of a metric of these runs, the best first. `say` is told which direction is better.

    Raises ConfigError for a field that no run has, or that is not a number."""
    check([metric], runs)
    found = [one for run in runs if (one := value(run, metric)) is not None]
    if not all(map(is_number, found)):
        raise ConfigError(f"--best needs a figure, and {metric} is {as_text(found[0])!r}")
    way, why = direction(metric, runs)
    say(f"best {metric}: {'more' if way == 'max' else 'less'} is better, {why}")
    return sorted_by(rows, figure, downwards=way == "max")


def sorted_by(rows: Iterable[T], key: Callable[[T], Any], *, downwards: bool) -> list[T]:
    """Return rows sorted by `key`: numbers before texts. Rows without a value come last in both directions."""
    found = [(key(row), row) for row in rows]
    there = [((0, one, "") if is_number(one) else (1, 0, as_text(one)), row) for one, row in found if one is not None]
    in_order = sorted(there, key=lambda pair: pair[0], reverse=downwards)
    return [row for _, row in in_order] + [row for one, row in found if one is None]
