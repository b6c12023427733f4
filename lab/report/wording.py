"""Figures, names and lists as they stand in a sentence."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lab.judging import spread

LONGEST = 60  # letters of a name or value in a sentence


def count(n: int, what: str) -> str:
    """`1 run`, `3 runs`."""
    return f"{n:,} {plural(what, n)}"


def plural(what: str, n: int) -> str:
    """`run` for one, `runs` for any other number."""
    return what if n == 1 else f"{what}s"


def some(items: Sequence[str], between: str = ", ", most: int = 3) -> str:
    """The first few of the items, and how many more there are."""
    shown = between.join(items[:most])
    return shown if len(items) <= most else f"{shown}{between}and {len(items) - most:,} more"


def shown(value: Any, longest: int = LONGEST) -> str:
    """A setting, figure or name: thousands set apart, classes by their own names, one line and never long."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return some([shown(one) for one in value]) or "none"
    if isinstance(value, dict):
        return str(value["class_path"]).rpartition(".")[2] if "class_path" in value else _named(value) or "none"
    text = " ".join(str(value).split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def told(scores: Mapping[int, float]) -> str:
    """`-71.18 on seed 0, -73.8 on seed 1`."""
    return some([f"{shown(score)} on seed {seed}" for seed, score in scores.items()], most=6)


def interval(scores: Iterable[float]) -> str:
    """The mean with its 95 % interval, which takes two scores."""
    found = spread(list(scores))
    if found.low is None or found.high is None:
        return shown(found.mean)
    return f"{shown(found.mean)} (95 % interval {found.low:.5g} to {found.high:.5g})"


def word(value: Any) -> str:
    """A name as one word of a command, whatever it holds."""
    return shlex.quote(str(value))


def _named(values: Mapping[Any, Any]) -> str:
    return some([f"{name}={shown(value)}" for name, value in values.items()])
