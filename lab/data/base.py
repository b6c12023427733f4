"""What an experiment asks of its data, whatever the modality."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from lab.data.spec import DataSpec

Batch = tuple[Tensor, Tensor]
"""Inputs `(B, *spec.input.shape)` and labels `(B,)`, int64, both on the training device."""


@dataclass(frozen=True)
class DatasetInfo:
    """Which data a run really used; part of every summary.

    Args:
        name: as in the catalog.
        sha256: of its files, or of the tensors for an embedded data set; None where nothing can be hashed.
        fallback: why `name` is not what the config asked for; None when it is.
    """

    name: str
    sha256: str | None = None
    fallback: str | None = None


class Batches(Protocol):
    """An epoch of batches per iteration. Its position is (epoch, batch), which `state_dict` gives back.

    Anything of this shape will do: tensors that live on the device (`lab.data.batches`), or a stream.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class DataModule(ABC):
    """A data set with its three splits. `prepare` first; `spec`, `info` and the splits exist after it."""

    spec: DataSpec
    info: DatasetInfo

    @abstractmethod
    def prepare(self) -> None:
        """Obtain and verify the data. Raises DataError; writes nothing but the download itself."""

    @abstractmethod
    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        """Shuffled training batches, by default of the configured size; the order follows from (seed, epoch)."""

    @abstractmethod
    def validation(self, device: torch.device) -> Batches | None:
        """Held-out training examples for choices made during training; None when the config holds none out."""

    @abstractmethod
    def test(self, device: torch.device) -> Batches:
        """The test split, in its published order."""
