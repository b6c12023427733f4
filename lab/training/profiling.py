"""A Lightning model that trains for the sake of the clock: `lab doctor` asks where the time of its batches goes."""

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
    """The stopwatch of a turn. On a CUDA or MPS device what is left at its end is waited for, and counts as learning.

    Args:
        seconds: after which the turn ends, with the batch of that moment.
    """

    def __init__(self, seconds: float, device: torch.device) -> None:
        super().__init__(PARTS)
        self.batches, self.device = 0, device
        self.until = self.last + seconds

    def callbacks(self, *between: pl.Callback) -> list[pl.Callback]:
        """Return the callbacks of a trainer: those of the loop itself, whose time is `logging`, with ours around."""
        return [_Before(self), *between, _After(self)]

    def batch_done(self) -> None:
        """Count a batch. Raises TurnOver where it was the last."""
        self.batches += 1
        if perf_counter() >= self.until:
            if self.device.type in ("cuda", "mps"):
                (torch.cuda if self.device.type == "cuda" else torch.mps).synchronize()
                self.lap("learning")
            raise TurnOver


class TimedBatches:
    """Batches whose fetching is a lap of its own."""

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
