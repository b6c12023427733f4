"""Easier examples first (Bengio et al. 2009)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lab.data.resumable import ResumableBatches


class Curriculum(ResumableBatches):
    """Stages of training, one after the other, each with batches of its own.

    Args:
        stages: all with the same number of batches in an epoch; training stays at the last one.
        epochs: of each stage before that.
    """

    def __init__(self, stages: Sequence[ResumableBatches], epochs: int) -> None:
        super().__init__()
        self.stages, self.epochs = stages, epochs

    def __len__(self) -> int:
        return len(self.stages[-1])

    @property
    def smallest(self) -> int | None:
        return self.stages[-1].smallest

    def batches_from(self, first: int) -> Iterator[Any]:
        stage = self.stages[min(self.epoch // self.epochs, len(self.stages) - 1)]
        stage.epoch = self.epoch
        return stage.batches_from(first)
