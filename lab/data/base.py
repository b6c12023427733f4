"""What an experiment needs from its data, whatever the modality."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch

from lab.config.roles import Roles
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.errors import ConfigError


@dataclass(frozen=True)
class DatasetInfo:
    """The data that a run used; part of every summary.

    Args:
        name: as in the catalog.
        sha256: of its files, or of its tensors for an embedded data set; None where nothing can be hashed.
        fallback: why `name` is not the data set of the config; None when it is.
        path: of the user's own file or folder, after which it is named; None for a data set of the catalog.
    """

    name: str
    sha256: str | None = None
    fallback: str | None = None
    path: str | None = None


class Batches(Protocol):
    """Each iteration is an epoch of batches. Its position is (epoch, batch), which `state_dict` returns.

    `lab.data.resumable` has a base class that keeps the position. `lab.data.batches` cuts batches from tensors on the
    device.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class DataModule(ABC):
    """A data set with its three splits. Call `prepare` first; `spec`, `info` and the splits exist after it.

    The splits give `Batch`es. They may also give pairs `(inputs, targets)`, and `train` may return a torch
    DataLoader: `lab.data.loader` makes `Batch`es on the training device of either.
    """

    spec: DataSpec
    info: DatasetInfo
    notes: Sequence[str] = ()
    """What the user should know about the data, one sentence each. They are printed once the config is known to be
    right."""
    roles: ClassVar[Roles] = Roles(repeats=("fold",))
    """A data set with the setting `fold` has repeats of one experiment in its folds."""

    @abstractmethod
    def prepare(self) -> None:
        """Obtain and verify the data. Raises DataError. Writes nothing but the download itself."""

    @abstractmethod
    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        """Return shuffled training batches, by default of the configured size. Their order depends on seed and epoch
        alone."""

    @abstractmethod
    def validation(self, device: torch.device) -> Batches | None:
        """Return the training examples that are held out for choices made during training; None for none."""

    @abstractmethod
    def test(self, device: torch.device) -> Batches:
        """Return the test split, in its published order."""

    def unchanged(self, device: torch.device) -> Batches:
        """Return all training examples in their own order, as they are: also those that are held out for validation or
        left out, and none augmented. For what must be the same whatever is trained on these data."""
        raise ConfigError(f"{type(self).__name__} does not give its training examples unchanged")


class SplitData(DataModule):
    """Base of data sets whose splits are cut into batches in one way.

    A subclass has the batch sizes, and sets `validates` where it holds nothing out for validation.
    """

    batch_size: int
    eval_batch_size: int
    validates: bool = True

    @abstractmethod
    def cut(self, split: int, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        """Return batches of a split: 0 for training, 1 for validation, 2 for the test. A seed shuffles them, and None
        keeps their order."""

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return self.cut(0, device, batch_size or self.batch_size, seed)

    def validation(self, device: torch.device) -> Batches | None:
        return self.cut(1, device, self.eval_batch_size) if self.validates else None

    def test(self, device: torch.device) -> Batches:
        return self.cut(2, device, self.eval_batch_size)
