"""Makes batches that can be resumed from what a data module returns: a torch DataLoader or batches of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from lab.data.base import Batches, DataModule
from lab.data.batch import Batch, as_batch
from lab.data.batches import CutBatches
from lab.data.resumable import ResumableBatches
from lab.errors import ConfigError
from lab.system.randomness import derived_seed, kept_randomness, seed_everything


def training_batches(data: DataModule, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
    """Return the shuffled training batches of prepared `data` on `device`, by default of the configured size.

    This and the three functions below raise ConfigError where the data module returns something that gives no batches.
    """
    size = {} if batch_size is None else {"batch_size": batch_size}
    batches = as_batches(data.train(device, seed, **size), device, seed=seed)
    if len(batches) == 0:
        raise ConfigError(
            "data.train() returned no batches: there are no examples, or fewer than data.batch_size in an epoch that "
            "leaves out a smaller last batch (drop_last); choose a smaller data.batch_size"
        )
    return batches


def plain_batches(data: DataModule, device: torch.device, seed: int) -> Batches:
    """Return all training examples once, without the random changes of `data.augment` and `data.word_dropout`: for
    simple methods, which see each example but once."""
    plain: Any = copy(data)
    plain.augment, plain.word_dropout = None, 0.0
    batches: Any = plain.train(device, seed)
    if isinstance(batches, CutBatches):
        batches.drop_last = False
    return as_batches(batches, device, seed=seed)


def validation_batches(data: DataModule, device: torch.device) -> Batches | None:
    """Return the validation batches of prepared `data` on `device`; None where it holds no examples out."""
    given = data.validation(device)
    return None if given is None else as_batches(given, device, who="data.validation()")


def testing_batches(data: DataModule, device: torch.device) -> Batches:
    """Return the test batches of prepared `data` on `device`."""
    return as_batches(data.test(device), device, who="data.test()")


def as_batches(given: Any, device: torch.device, *, seed: int = 0, who: str = "data.train()") -> Batches:
    """Return what `who` gave as batches on `device`. Pairs `(inputs, targets)` become `Batch`es here, and a torch
    DataLoader becomes batches that can be resumed. Raises ConfigError for anything else.
    """
    if isinstance(given, DataLoader):
        try:
            len(given)
        except TypeError:
            raise ConfigError(
                f"{who} returned a DataLoader of unknown length; give its data set a __len__, or return batches of "
                "your own (lab.data.Batches)"
            ) from None
        return _OnDevice(LoaderBatches(given, device, seed), device)
    owed = ("__len__", "__iter__", "state_dict", "load_state_dict")
    if missing := [name for name in owed if not hasattr(given, name)]:
        raise ConfigError(
            f"{who} must return a torch DataLoader or batches with {', '.join(owed[:-1])} and {owed[-1]} "
            f"(lab.data.Batches), but the {type(given).__name__} that it returned lacks {', '.join(missing)}"
        )
    return _OnDevice(given, device)


class LoaderBatches(ResumableBatches):
    """The batches of a torch DataLoader. Its random numbers (order, augmentation) depend on the seed, the epoch and the
    batch alone. A resumed run reads the batches of its epoch again and skips those that it has trained on.

    Args:
        loader: with a length.
        device: of the training. Loading does not change the state of its random numbers.
        seed: of the run.
    """

    def __init__(self, loader: DataLoader[Any], device: torch.device, seed: int) -> None:
        super().__init__()
        self.loader, self.device, self.seed = loader, device, seed

    def __len__(self) -> int:
        return len(self.loader)

    @property
    def smallest(self) -> int | None:
        size = self.loader.batch_size
        if size is None or isinstance(self.loader.dataset, IterableDataset):
            return None
        rest = len(self.loader.sampler) % size  # type: ignore[arg-type]
        return rest if rest and not self.loader.drop_last else size

    def batches_from(self, first: int) -> Iterator[Any]:
        for own in (self.loader, self.loader.sampler):
            if isinstance(generator := getattr(own, "generator", None), torch.Generator):
                generator.manual_seed(derived_seed(self.seed, self.epoch))
        with self._drawing(self.seed, self.epoch):
            fetched = iter(self.loader)
        for batch in range(len(self)):
            with self._drawing(self.seed, self.epoch, batch):
                given = next(fetched, None)
            if given is None:
                return
            if batch >= first:
                yield given

    @contextmanager
    def _drawing(self, *place: int) -> Iterator[None]:
        """Seed all generators from this place inside the block, and restore their states after it."""
        with kept_randomness(self.device):
            seed_everything(derived_seed(*place))
            yield


class _OnDevice:
    """Batches of any kind, each as a `Batch` on the device."""

    def __init__(self, batches: Any, device: torch.device) -> None:
        self.batches, self.device = batches, device
        self.smallest: int | None = getattr(batches, "smallest", None)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        for given in self.batches:
            yield as_batch(given).to(self.device)

    def state_dict(self) -> dict[str, Any]:
        return self.batches.state_dict()  # type: ignore[no-any-return]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.batches.load_state_dict(state)
