"""How numbers, sizes, durations, paths, names and lists are written in a sentence or a cell."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.filesize import decimal

LONGEST = 60  # letters of a name or value in a sentence


def count(n: int, what: str) -> str:
    """Return a number with its noun: `1 run`, `3 runs`."""
    return f"{n:,} {plural(what, n)}"


def plural(what: str, n: int) -> str:
    """Return the noun in the number that `n` asks for."""
    return what if n == 1 else f"{what}s"


def some(items: Sequence[str], between: str = ", ", most: int = 3) -> str:
    """Return the first few items, and how many more there are."""
    shown = between.join(items[:most])
    return shown if len(items) <= most else f"{shown}{between}and {len(items) - most:,} more"


def shown(value: Any, longest: int = LONGEST) -> str:
    """Return a setting, figure or name as short text on one line: thousands separated, classes by their own names."""
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
    """Return scores by seed as text: `-71.18 on seed 0, -73.8 on seed 1`."""
    return some([f"{shown(score)} on seed {seed}" for seed, score in scores.items()], most=6)


def install(extra: str) -> str:
    """Return how to install an extra, in an environment and in a checkout that `make run` has prepared."""
    here = f".venv/bin/pip install -c constraints.txt '.[{extra}]'"
    return f"pip install 'deep-learning-lab[{extra}]', in a checkout {here}"


def word(value: Any) -> str:
    """Return a name quoted as one word of a shell command."""
    return shlex.quote(str(value))


def _named(values: Mapping[Any, Any]) -> str:
    return some([f"{name}={shown(value)}" for name, value in values.items()])


def near(path: Path) -> str:
    """Return the path relative to the working directory, or the absolute one where that is shorter."""
    relative = os.path.relpath(path) if sys.platform != "win32" else str(path)
    return min(relative, str(path), key=len)


def duration(seconds: float) -> str:
    """Return seconds as `7.1 s` or `2 min 05 s`."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def rate(per_second: float, unit: str = "") -> str:
    """Return a rate as `1,234/s`, `12.3/s` or `0.25/s`: below 1 it is not 0. With a unit, `0.25 batches/s`."""
    value = f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.3g}"
    return f"{value} {unit}" if unit else f"{value}/s"


def time_left(seconds: float) -> str:
    """Return a remaining time as `minutes:seconds`, or from an hour on as `hours:minutes:seconds`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def size(taken: float) -> str:
    """Return bytes as `7.1 MB`."""
    return decimal(round(taken))


def interval(low: float | None, high: float | None) -> str:
    """Return an interval as text; `-` where there is none."""
    return "-" if low is None or high is None else f"{low:.5g} to {high:.5g}"


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as `--seeds` takes them: `0-4,7`, sorted and without repetition."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
