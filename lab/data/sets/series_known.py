"""The series that the lab knows: read from their files, or generated."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from lab.console.notices import notice
from lab.data.catalog import lookup
from lab.data.download import fetch
from lab.errors import DataError

ETT_STEPS = 20 * 30 * 24
"""Of ETTh1: 12 months of 30 days to train on, 4 for validation and 4 for the test (Zhou et al. 2021, section 5.1)."""


class Recording(NamedTuple):
    """What a loader returns.

    Args:
        values: `(N, F)`, float32, in the order of time and in the unit of the data.
        columns: names of the F columns, with their units.
        times: a label for each of the N steps.
        period: steps of one season; 1 where there are none.
        sha256: hash of all that.
    """

    values: Tensor
    columns: tuple[str, ...]
    times: tuple[str, ...]
    period: int
    sha256: str


def from_file(name: str, columns: tuple[str, ...], period: int, steps: int | None = None) -> Recording:
    """Read a data set of one csv file: times in its first column, and numbers in the others, called `columns`.

    Args:
        name: in the catalog.
        columns: their names, with units.
        period: steps of one season.
        steps: so many of the first ones; None for all.

    Raises UnavailableError, DamagedDataError or DataError.
    """
    entry = lookup(name)
    (path,) = fetch(entry, announce=notice).values()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:][:steps]
    if not all(len(row) == 1 + len(columns) for row in rows):
        raise DataError(f"{path} must have {1 + len(columns)} columns: the time, and {', '.join(columns)}")
    values = torch.tensor([[float(cell) for cell in row[1:]] for row in rows])
    return Recording(values, columns, tuple(row[0] for row in rows), period, entry.sha256)


def load_seasonal() -> Recording:
    """A generated series: exponential growth, a season of 12 steps, and noise that follows from a formula."""
    growth = [4.7 + 0.01 * t for t in range(144)]
    season = [0.2 * math.sin(math.tau * t / 12) + 0.1 * math.cos(math.tau * t / 6) for t in range(144)]
    noise = [0.04 * math.sin(0.7 * t * t) for t in range(144)]
    whole = [round(math.exp(sum(parts))) for parts in zip(growth, season, noise, strict=True)]
    digest = hashlib.sha256(",".join(map(str, whole)).encode()).hexdigest()
    times = tuple(f"month {t + 1}" for t in range(144))
    return Recording(torch.tensor(whole, dtype=torch.float32)[:, None], ("generated",), times, 12, digest)


def waves(steps: int, columns: int, each: timedelta, period: int) -> Recording:
    """Return generated columns: a sine with a season of `period` steps, and noise that is forgotten by a fifth in each
    step. The first step is at the beginning of 2001, and `each` is the time between two."""
    white = torch.randn(columns, 1, steps + 40, generator=torch.Generator().manual_seed(0))
    noise = torch.conv1d(white, 0.8 ** torch.arange(40, -1, -1.0)[None, None])[:, 0].T  # (steps, columns)
    turns = torch.arange(steps)[:, None] / period + torch.arange(columns) / max(columns, 4)
    values = 12 + 4 * (math.tau * turns).sin() + noise
    names = ("generated",) if columns == 1 else tuple(f"generated {i + 1}" for i in range(columns))
    start = datetime(2001, 1, 1)
    whole_days = each % timedelta(days=1) == timedelta(0)
    times = [start + t * each for t in range(steps)]
    told = tuple(time.date().isoformat() if whole_days else time.isoformat(" ") for time in times)
    return Recording(values, names, told, period, hashlib.sha256(values.numpy().tobytes()).hexdigest())


ETT_COLUMNS = (
    *("high useful load", "high useless load", "middle useful load", "middle useless load"),
    *("low useful load", "low useless load", "oil temperature"),
)

LOADERS: dict[str, Callable[[], Recording]] = {
    "airline": partial(from_file, "airline", ("passengers (thousands)",), 12),
    "temperature": partial(from_file, "temperature", ("lowest temperature (°C)",), 365),
    "sunspots": partial(from_file, "sunspots", ("sunspots",), 1),
    "etth1": partial(from_file, "etth1", ETT_COLUMNS, 24, ETT_STEPS),
    "seasonal": load_seasonal,
    "days": partial(waves, 3_650, 1, timedelta(days=1), 365),
    "hours": partial(waves, ETT_STEPS, 7, timedelta(hours=1), 24),
}
