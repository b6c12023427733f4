"""The place in a data set that a run is resumed at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any


class ResumableBatches(ABC):
    """Base of batches that know their place, (epoch, batch). Each iteration is an epoch. The first one after
    `load_state_dict` is the rest of the epoch that was saved.

    A subclass has `batches_from` and `__len__`. What it draws at random must depend on `self.epoch` and the number of
    the batch alone.
    """

    def __init__(self) -> None:
        self.epoch, self.batch, self.resume_at = 0, 0, 0

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of batches in an epoch."""

    @abstractmethod
    def batches_from(self, first: int) -> Iterator[Any]:
        """Yield the batches of epoch `self.epoch`, without the first `first` of them."""

    @property
    def smallest(self) -> int | None:
        """Examples in the smallest batch of an epoch; None where that is unknown."""
        return None

    def __iter__(self) -> Iterator[Any]:
        first, self.resume_at = self.resume_at, 0
        # Not at the end of the loop: a consumer that counts to len() never asks for the end.
        if self.batch and not first:
            self.epoch += 1
        for consumed, batch in enumerate(self.batches_from(first), start=first + 1):
            self.batch = consumed  # a state saved while the consumer works on a batch counts it as consumed
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "batch": self.batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.batch = state["epoch"], state["batch"]
        self.resume_at = self.batch % len(self)
