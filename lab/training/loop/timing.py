"""Timing of a training loop for `lab doctor`: how many seconds each part of it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import pytorch_lightning as pl
import torch

from lab.data.base import Batches
from lab.data.batch import Batch
from lab.system.stopwatch import Stopwatch

PARTS = {
    "data": "fetching the next batch",
    "learning": "forward and backward passes and the optimizer",
    "logging": "journal and progress",
    "loop": "Lightning's own loop",
}


class TurnOver(Exception):  # noqa: N818  # no error
    """Ends Lightning's loop between two batches."""


class Laps(Stopwatch):
    """Measures one turn. At its end it waits for a CUDA or MPS device; that time counts as learning.

    Args:
        seconds: length of the turn; it ends with the batch during which they are over.
    """

    def __init__(self, seconds: float, device: torch.device) -> None:
        super().__init__(PARTS)
        self.batches, self.device = 0, device
        self.until = self.last + seconds

    def callbacks(self, *between: pl.Callback) -> list[pl.Callback]:
        """Return a trainer's callbacks: `between`, whose time counts as `logging`, with the stopwatch around them."""
        return [_Before(self), *between, _After(self)]

    def batch_done(self) -> None:
        """Count a batch. Raises TurnOver after the last one."""
        self.batches += 1
        if perf_counter() >= self.until:
            if self.device.type in ("cuda", "mps"):
                (torch.cuda if self.device.type == "cuda" else torch.mps).synchronize()
                self.lap("learning")
            raise TurnOver


class TimedBatches:
    """Batches whose fetching is timed as `data`."""

    def __init__(self, batches: Batches, lap: Callable[[str], None]) -> None:
        self.batches, self.lap = batches, lap

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        fetched = iter(self.batches)
        while True:
            self.lap("loop")
            batch = next(fetched, None)
            self.lap("data")
            if batch is None:
                return
            yield batch


class _Before(pl.Callback):
    def __init__(self, laps: Laps) -> None:
        self.laps = laps

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.laps.start()

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, i: int) -> None:
        self.laps.lap("loop")

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        self.laps.lap("learning")


class _After(pl.Callback):
    def __init__(self, laps: Laps) -> None:
        self.laps = laps

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        self.laps.lap("logging")
        self.laps.batch_done()
