"""How far a run is that a process works on: what that process left in its folder."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.console.progress import FILE
from lab.runs.fields import result_metric
from lab.runs.readings import number
from lab.runs.select import Run
from lab.system.opening import open_plain

MOST_BYTES = 100_000
STALE = 60.0
"""Seconds without news after which it is said how old the latest are."""


@dataclass(frozen=True)
class Position:
    """How far a run is.

    Args:
        stage: what it does.
        done: units that are finished.
        total: units in all.
        unit: what is counted.
        rate: units per second; 0 where it is not known.
        metric: name of its latest figure, the one that is nearest to its result; empty where there is none.
        value: that figure.
        age: seconds since this was so.
    """

    stage: str
    done: int
    total: int
    unit: str
    rate: float
    metric: str
    value: float | None
    age: float

    @property
    def left(self) -> float | None:
        """Seconds that the stage still takes at this rate; None where that is not known."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None


def position(run: Run) -> Position | None:
    """Return how far a run is; None where its folder does not say."""
    found = _read(run.record.dir / FILE)
    stage, unit = found.get("stage"), found.get("unit")
    done, total, rate, at = (number(found.get(name)) for name in ("done", "total", "rate", "time"))
    if not isinstance(stage, str) or not isinstance(unit, str) or done is None or total is None or at is None:
        return None
    metrics = found.get("metrics")
    name, value = key_metric(metrics if isinstance(metrics, Mapping) else {}, result_metric(run))
    return Position(stage, int(done), int(total), unit, max(0.0, rate or 0.0), name, value, max(0.0, time.time() - at))


def key_metric(metrics: Mapping[str, Any], result: str) -> tuple[str, float | None]:
    """Return the figure that says most about a run's result: of that name, of its last part, else the first loss or
    return, else the first."""
    known = {name: value for name, found in metrics.items() if (value := number(found)) is not None}
    last = result.rpartition("/")[2]
    for fits in (lambda name: name == result, lambda name: name.rpartition("/")[2] == last, _says_much, bool):
        if found := next((name for name in known if fits(name)), None):
            return found, known[found]
    return "", None


def _says_much(name: str) -> bool:
    return any(part in name for part in ("return", "loss"))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        with open_plain(path, path.parent) as file:
            found = json.loads(file.read(MOST_BYTES), parse_constant=lambda _: math.nan)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}
