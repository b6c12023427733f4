"""Series: numbers over time, cut into windows of the past and what followed."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from lab.config.roles import Roles
from lab.config.types import DataPath, NonNegativeInt, PositiveInt
from lab.console.notices import notice
from lab.data.base import Batches, SplitData
from lab.data.batches import Options, WindowBatches
from lab.data.catalog import lookup
from lab.data.download import fetch
from lab.data.obtain import STAND_IN, obtain, own, require_known
from lab.data.own.sheets import read_sheet
from lab.data.own.steps import History, steps_of, with_harmonics
from lab.data.spec import DataSpec, InputSpec, Values
from lab.errors import ConfigError, DataError, nearest

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


class Series(SplitData):
    """Windows of a series: the inputs are the past, `(T, F)`, the targets are the steps after it, `(H, F)`. Where the
    time of the year is an input too, its numbers follow the F columns of the past.

    Both are in the unit of the data; a model scales them as it needs. The series is cut in the order of time: first the
    training part, then validation, then test. A window belongs to the part that all its targets are in. Its past may
    reach into the part before, since at that time it is known.

    Args:
        name: `airline`, `temperature`, `sunspots` or `etth1`; or `seasonal`, `days` or `hours`, which are generated.
        fallback: data set to use where `name` cannot be downloaded; `stand-in` is the one that its entry in the catalog
            names, and `none` makes that an error.
        past: T, steps that the model sees.
        horizon: H, steps that it predicts.
        columns: names of the columns to use; null for all.
        yearly: harmonics of the time of the year that are inputs too: 1 for its cosine and sine, 2 for those of twice
            the angle as well. The series needs dates for them.
        test_size: last steps, held out for the test.
        val_size: steps before these, held out for validation.
        batch_size: windows per training batch; the last one of an epoch may be smaller.
        eval_batch_size: windows per validation and test batch.
        path: of the user's own csv file, with a row for each step, the earliest first; null for the data set of `name`.
    """

    roles = Roles(added={"path": None, "yearly": 0})

    def __init__(
        self,
        *,
        name: str = "airline",
        fallback: str = STAND_IN,
        past: PositiveInt = 24,
        horizon: PositiveInt = 1,
        columns: Sequence[str] | None = None,
        yearly: NonNegativeInt = 0,
        test_size: PositiveInt = 48,
        val_size: NonNegativeInt = 12,
        batch_size: PositiveInt = 32,
        eval_batch_size: PositiveInt = 1_000,
        path: DataPath | None = None,
    ) -> None:
        require_known(name, fallback, LOADERS)
        self.name, self.fallback = name, fallback
        self.past, self.horizon, self.columns, self.yearly = past, horizon, columns, yearly
        self.test_size, self.val_size, self.validates = test_size, val_size, val_size > 0
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.path = path

    def prepare(self) -> None:
        recording = self._obtain()
        chosen = [_column(column, recording.columns) for column in self.columns or recording.columns]
        self.values, self.times, self.period = recording.values[:, chosen], recording.times, recording.period
        self.inputs = with_harmonics(self.values, self.times, self.yearly, self.info.name)
        """The columns, and what else is an input, `(N, F + 2 * yearly)`."""
        count = len(self.values)
        self.bounds = (0, count - self.test_size - self.val_size, count - self.test_size, count)
        """Where the training part, validation and test begin, and the end."""
        least = self.past + self.horizon
        if self.bounds[1] < least:
            raise ConfigError(
                f"data.past and data.horizon need {least} steps to train on, but of {count} steps "
                f"{max(0, self.bounds[1])} are left by data.test_size and data.val_size, {self.test_size} and "
                f"{self.val_size}; give smaller ones"
            )
        for setting, size in (("test_size", self.test_size), ("val_size", self.val_size)):
            if 0 < size < self.horizon:
                raise ConfigError(f"data.{setting} must be at least data.horizon, {self.horizon}, received {size}")
        names = tuple(recording.columns[i] for i in chosen)
        form, reader = InputSpec((self.past, self.inputs.shape[1])), History(self.past, names, self.yearly)
        self.spec = DataSpec(form, Values((self.horizon, len(chosen)), names), reader=reader)

    def _obtain(self) -> Recording:
        if self.path is None:
            recording, self.info = obtain(self.name, self.fallback, LOADERS)
            return recording
        sheet, self.info = own(self.path, read_sheet)
        steps = steps_of(sheet, self.columns)
        self.notes = steps.notes
        return Recording(steps.values, steps.columns, steps.times, steps.period, steps.sha256)

    @property
    def training_part(self) -> Tensor:
        """The steps to train on, `(n, F)`."""
        return self.values[: self.bounds[1]]

    def unchanged(self, device: torch.device) -> Batches:
        return self.cut(0, device, self.eval_batch_size, end=self.bounds[2])

    def tested_with(self, past: int) -> Batches:
        """Return the test windows on the CPU, with so many steps before their targets in place of T."""
        return self.cut(2, torch.device("cpu"), self.eval_batch_size, past=past)

    def cut(
        self,
        split: int,
        device: torch.device,
        batch_size: int,
        seed: int | None = None,
        *,
        past: int | None = None,
        end: int | None = None,
    ) -> Batches:
        past = past or self.past
        first = max(self.bounds[split], past)  # the earliest target
        count = (end or self.bounds[split + 1]) - first - self.horizon + 1
        options: Options = {"batch_size": batch_size, "seed": seed, "drop_last": False}
        inputs, columns = self.inputs.to(device), self.values.shape[1]
        return WindowBatches(inputs, first - past, count, past, self.horizon, columns=columns, **options)


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


def _column(name: str, columns: Sequence[str]) -> int:
    if name not in columns:
        raise ConfigError(
            f"data.columns must be some of {', '.join(columns)}, received {name!r}{nearest(name, columns)}"
        )
    return columns.index(name)


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
