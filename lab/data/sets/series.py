"""Series: numbers over time, cut into windows of the past and what followed."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Unpack

import torch
from torch import Tensor

from lab.config.roles import Roles
from lab.config.types import DataPath, NonNegativeInt, PositiveInt
from lab.console.notices import notice
from lab.data.base import Batches, DataModule
from lab.data.batch import Batch
from lab.data.batches import CutBatches, Options
from lab.data.catalog import lookup
from lab.data.download import fetch
from lab.data.obtain import STAND_IN, obtain, own, require_known
from lab.data.own.sheets import read_sheet
from lab.data.own.steps import History, steps_of
from lab.data.spec import DataSpec, InputSpec, Values
from lab.errors import ConfigError, DataError, nearest


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


class Series(DataModule):
    """Windows of a series: the inputs are the past, `(T, F)`, the targets are the steps after it, `(H, F)`.

    Both are in the unit of the data; a model scales them as it needs. The series is cut in the order of time: first the
    training part, then validation, then test. A window belongs to the part that all its targets are in. Its past may
    reach into the part before, since at that time it is known.

    Args:
        name: `airline`, or `seasonal`, which is generated.
        fallback: data set to use where `name` cannot be downloaded; `stand-in` is the one that its entry in the catalog
            names, and `none` makes that an error.
        past: T, steps that the model sees.
        horizon: H, steps that it predicts.
        columns: names of the columns to use; null for all.
        test_size: last steps, held out for the test.
        val_size: steps before these, held out for validation.
        batch_size: windows per training batch; the last one of an epoch may be smaller.
        eval_batch_size: windows per validation and test batch.
        path: of the user's own csv file, with a row for each step, the earliest first; null for the data set of `name`.
    """

    roles = Roles(added={"path": None})

    def __init__(
        self,
        *,
        name: str = "airline",
        fallback: str = STAND_IN,
        past: PositiveInt = 24,
        horizon: PositiveInt = 1,
        columns: Sequence[str] | None = None,
        test_size: PositiveInt = 48,
        val_size: NonNegativeInt = 12,
        batch_size: PositiveInt = 32,
        eval_batch_size: PositiveInt = 1_000,
        path: DataPath | None = None,
    ) -> None:
        require_known(name, fallback, LOADERS)
        self.name, self.fallback = name, fallback
        self.past, self.horizon, self.columns = past, horizon, columns
        self.test_size, self.val_size = test_size, val_size
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.path = path

    def prepare(self) -> None:
        recording = self._obtain()
        chosen = [_column(column, recording.columns) for column in self.columns or recording.columns]
        self.values, self.times, self.period = recording.values[:, chosen], recording.times, recording.period
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
        form = InputSpec((self.past, len(chosen)))
        self.spec = DataSpec(form, Values((self.horizon, len(chosen)), names), reader=History(self.past, names))

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

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return self._batches(0, device, batch_size or self.batch_size, seed)

    def validation(self, device: torch.device) -> Batches | None:
        return self._batches(1, device, self.eval_batch_size) if self.val_size else None

    def test(self, device: torch.device) -> Batches:
        return self._batches(2, device, self.eval_batch_size)

    def _batches(self, part: int, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        first = max(self.bounds[part], self.past)  # the earliest target
        count = self.bounds[part + 1] - first - self.horizon + 1
        options: Options = {"batch_size": batch_size, "seed": seed, "drop_last": False}
        return WindowBatches(self.values.to(device), first - self.past, count, self.past, self.horizon, **options)


class WindowBatches(CutBatches):
    """Batches of windows that begin one step after another.

    Args:
        values: the series, `(N, F)`, on the training device.
        first: step at which the first window begins.
        count: of the windows.
        past: steps of a window that are inputs.
        horizon: steps after these that are targets.
        options: see `Options`.
    """

    def __init__(
        self, values: Tensor, first: int, count: int, past: int, horizon: int, **options: Unpack[Options]
    ) -> None:
        super().__init__(count, values.device, **options)
        self.values, self.past = values, past
        self.steps = torch.arange(first, first + past + horizon, device=values.device)

    def take(self, chosen: Tensor) -> Batch:
        windows = self.values[chosen[:, None] + self.steps]
        return Batch(windows[:, : self.past], windows[:, self.past :])


def load_airline() -> Recording:
    """The airline passengers of 144 months. Raises UnavailableError or DamagedDataError."""
    entry = lookup("airline")
    (path,) = fetch(entry, announce=notice).values()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    if not all(len(row) == 2 for row in rows):
        raise DataError(f"{path} does not have two columns, the month and its passengers")
    values = torch.tensor([[float(passengers)] for _, passengers in rows])
    return Recording(values, ("passengers (thousands)",), tuple(month for month, _ in rows), 12, entry.sha256)


def load_seasonal() -> Recording:
    """A generated series: exponential growth, a season of 12 steps, and noise that follows from a formula."""
    growth = [4.7 + 0.01 * t for t in range(144)]
    season = [0.2 * math.sin(math.tau * t / 12) + 0.1 * math.cos(math.tau * t / 6) for t in range(144)]
    noise = [0.04 * math.sin(0.7 * t * t) for t in range(144)]
    whole = [round(math.exp(sum(parts))) for parts in zip(growth, season, noise, strict=True)]
    digest = hashlib.sha256(",".join(map(str, whole)).encode()).hexdigest()
    times = tuple(f"month {t + 1}" for t in range(144))
    return Recording(torch.tensor(whole, dtype=torch.float32)[:, None], ("generated",), times, 12, digest)


LOADERS: dict[str, Callable[[], Recording]] = {"airline": load_airline, "seasonal": load_seasonal}


def _column(name: str, columns: Sequence[str]) -> int:
    if name not in columns:
        raise ConfigError(
            f"data.columns must be some of {', '.join(columns)}, received {name!r}{nearest(name, columns)}"
        )
    return columns.index(name)
