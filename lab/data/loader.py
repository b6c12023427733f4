"""Whatever a data module returns, as batches that can be resumed: a torch DataLoader, or batches of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader

from lab.data.base import Batches
from lab.data.batch import Batch, as_batch
from lab.errors import ConfigError
from lab.system.randomness import derived_seed, random_state, restore_random_state, seed_everything


def as_batches(given: Any, device: torch.device, *, seed: int = 0, who: str = "data.train()") -> Batches:
    """Return what `who` gave as batches on `device`. This is the one place where a pair `(inputs, targets)` becomes a
    `Batch`, and where a torch DataLoader becomes batches that can be resumed.

    Raises ConfigError, in one sentence, for anything else.
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


class LoaderBatches:
    """The batches of a torch DataLoader. What it draws at random (order, augmentation) depends on the seed, the epoch
    and the batch alone. A resumed run reads the batches that it has already seen again, and skips them.

    Args:
        loader: with a length.
        device: of the training, whose random numbers stay as they were.
        seed: of the run.
    """

    def __init__(self, loader: DataLoader[Any], device: torch.device, seed: int) -> None:
        self.loader, self.device, self.seed = loader, device, seed
        self.epoch, self.batch, self.resume_at = 0, 0, 0

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        start, self.resume_at = self.resume_at, 0
        if self.batch and not start:
            self.epoch += 1
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
            if batch >= start:
                self.batch = batch + 1
                yield given

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "batch": self.batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.batch = state["epoch"], state["batch"]
        self.resume_at = self.batch % len(self)

    @contextmanager
    def _drawing(self, *place: int) -> Iterator[None]:
        """Draw what the data set draws from a seed of this place, and leave the generators as they were."""
        before = random_state(self.device)
        seed_everything(derived_seed(*place))
        try:
            yield
        finally:
            restore_random_state(before, self.device)


class _OnDevice:
    """Batches of any kind, each as a `Batch` on the device."""

    def __init__(self, batches: Any, device: torch.device) -> None:
        self.batches, self.device = batches, device

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        for given in self.batches:
            yield as_batch(given).to(self.device)

    def state_dict(self) -> dict[str, Any]:
        return self.batches.state_dict()  # type: ignore[no-any-return]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.batches.load_state_dict(state)
