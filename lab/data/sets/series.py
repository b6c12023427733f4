"""Series: numbers over time, cut into windows of the past and what followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor

from lab.config.roles import Roles
from lab.config.types import DataPath, NonNegativeInt, PositiveInt
from lab.data.base import Batches, DataModule
from lab.data.batch import Batch
from lab.data.batches import CutBatches, Options
from lab.data.obtain import STAND_IN, obtain, own, require_known
from lab.data.own.sheets import read_sheet
from lab.data.own.steps import History, steps_of, with_harmonics
from lab.data.sets.series_known import LOADERS, Recording
from lab.data.spec import DataSpec, InputSpec, Values
from lab.errors import ConfigError, nearest


class Series(DataModule):
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
        self.test_size, self.val_size = test_size, val_size
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

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return self._batches(0, device, batch_size or self.batch_size, seed)

    def validation(self, device: torch.device) -> Batches | None:
        return self._batches(1, device, self.eval_batch_size) if self.val_size else None

    def test(self, device: torch.device) -> Batches:
        return self._batches(2, device, self.eval_batch_size)

    def unchanged(self, device: torch.device) -> Batches:
        return self._batches(0, device, self.eval_batch_size, end=self.bounds[2])

    def tested_with(self, past: int) -> Batches:
        """Return the test windows on the CPU, with so many steps before their targets in place of T."""
        return self._batches(2, torch.device("cpu"), self.eval_batch_size, past=past)

    def _batches(
        self,
        part: int,
        device: torch.device,
        batch_size: int,
        seed: int | None = None,
        *,
        past: int | None = None,
        end: int | None = None,
    ) -> Batches:
        past = past or self.past
        first = max(self.bounds[part], past)  # the earliest target
        count = (end or self.bounds[part + 1]) - first - self.horizon + 1
        options: Options = {"batch_size": batch_size, "seed": seed, "drop_last": False}
        inputs, columns = self.inputs.to(device), self.values.shape[1]
        return WindowBatches(inputs, first - past, count, past, self.horizon, columns=columns, **options)


class WindowBatches(CutBatches):
    """Batches of windows that begin one step after another.

    Args:
        values: the series and what else is known of its steps, `(N, ...)`, on the training device.
        first: step at which the first window begins.
        count: of the windows.
        past: steps of a window that are inputs.
        horizon: steps after these that are targets.
        columns: so many of the first ones are targets; None for all.
        options: see `Options`.
    """

    def __init__(
        self,
        values: Tensor,
        first: int,
        count: int,
        past: int,
        horizon: int,
        columns: int | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(count, values.device, **options)
        self.values, self.past, self.columns = values, past, columns
        self.steps = torch.arange(first, first + past + horizon, device=values.device)

    def take(self, chosen: Tensor) -> Batch:
        windows = self.values[chosen[:, None] + self.steps]
        return Batch(windows[:, : self.past], windows[:, self.past :, : self.columns])


def _column(name: str, columns: Sequence[str]) -> int:
    if name not in columns:
        raise ConfigError(
            f"data.columns must be some of {', '.join(columns)}, received {name!r}{nearest(name, columns)}"
        )
    return columns.index(name)
