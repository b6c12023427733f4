"""Batches cut from tensors that live on the training device: no worker processes, no Python per example."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import NotRequired, TypedDict, Unpack

import torch
from torch import Tensor

from lab.data.base import Batches, SplitData
from lab.data.batch import Batch, Tensors, mapped
from lab.data.resumable import ResumableBatches
from lab.errors import ConfigError
from lab.system.memory import require_memory
from lab.system.randomness import derived_seed

Transform = Callable[[Batch, torch.Generator], Batch]
"""Changes a batch on the device before the model receives it: scaling, augmentation. It must draw random numbers only
from the generator, which is seeded from (seed, epoch, batch)."""

GOLDEN = 2_654_435_761
"""Spreads the numbers of batches over all seeds (Knuth 1973, section 6.4). Seeding costs next to nothing this way."""


class Options(TypedDict):
    """How batches are cut.

    Args:
        batch_size: examples per batch.
        seed: shuffles every epoch anew, by (seed, epoch); None keeps the order.
        transform: is applied to every batch; None for none.
        drop_last: leave out a smaller last batch; by default where examples are shuffled.
    """

    batch_size: int
    seed: int | None
    transform: NotRequired[Transform | None]
    drop_last: NotRequired[bool | None]


class CutBatches(ResumableBatches):
    """Base of batches that are cut from `count` examples on the device.

    Args:
        count: of the examples.
        device: where they are.
        options: see `Options`.
    """

    def __init__(self, count: int, device: torch.device, **options: Unpack[Options]) -> None:
        super().__init__()
        self.count, self.device = count, device
        self.batch_size, self.seed, self.transform = options["batch_size"], options["seed"], options.get("transform")
        drop_last = options.get("drop_last")
        self.drop_last = self.seed is not None if drop_last is None else drop_last
        self.generator = torch.Generator(device)
        if self.drop_last and self.batch_size > count:
            raise ConfigError(f"data.batch_size is {self.batch_size}, but there are only {count} examples to train on")

    @abstractmethod
    def take(self, chosen: Tensor) -> Batch:
        """Return the examples of these indices, `(B,)`, as a batch on the device."""

    def cut(self, here: Tensor, chosen: Tensor) -> Batch:
        """Return the same, given the indices on the CPU too: whoever reads a number from the device waits for it."""
        return self.take(chosen)

    def order(self) -> Tensor:
        """Return the indices of this epoch's examples, `(count,)`, on the CPU."""
        if self.seed is None:
            return torch.arange(self.count)
        return torch.randperm(self.count, generator=self.order_generator())

    def order_generator(self) -> torch.Generator:
        """Return a generator for the order of this epoch. It is on the CPU, so that every kind of device sees the same
        order."""
        assert self.seed is not None
        return torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)

    def __len__(self) -> int:
        full, rest = divmod(self.count, self.batch_size)
        return full + bool(rest and not self.drop_last)

    @property
    def smallest(self) -> int:
        rest = self.count % self.batch_size
        return rest if rest and not self.drop_last else self.batch_size

    def batches_from(self, first: int) -> Iterator[Batch]:
        order, drawn = self.order(), derived_seed(self.seed or 0, self.epoch)
        places = order.to(self.device)
        for batch in range(first, len(self)):
            rows = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
            taken = self.cut(order[rows], places[rows])
            if self.transform is not None:
                self.generator.manual_seed((drawn + batch * GOLDEN) % 2**32)
                taken = self.transform(taken, self.generator)
            yield taken


class TensorBatches(CutBatches):
    """Batches of examples that all have the same shape.

    Args:
        inputs: `(N, ...)`, in the type they are stored in; or several of these by name.
        targets: the same for the targets; None for none.
        device: where the examples are moved to; None leaves them where they are.
        options: see `Options`.
    """

    def __init__(
        self,
        inputs: Tensors,
        targets: Tensors | None = None,
        *,
        device: torch.device | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = Batch(inputs, targets)
        if device is not None and device.type != "cpu":
            require_memory(given.nbytes, "the examples need", device)
        self.examples = given if device is None else given.to(device)
        inputs = self.examples.inputs
        where = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
        super().__init__(len(self.examples), where.device, **options)

    @property
    def targets(self) -> Tensors | None:
        """Those of all examples, in their own order."""
        return self.examples.targets

    def take(self, chosen: Tensor) -> Batch:
        def rows(tensor: Tensor) -> Tensor:
            return tensor[chosen]

        return Batch(mapped(self.examples.inputs, rows), mapped(self.examples.targets, rows))


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


class GeneratedData(SplitData):
    """Base of data sets whose splits are pairs of tensors, inputs and targets, which `prepare` makes."""

    parts: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], tuple[Tensor, Tensor]]
    """Training, validation and test."""

    def digest(self) -> str:
        """Return the SHA-256 of all inputs."""
        content = hashlib.sha256()
        for inputs, _ in self.parts:
            content.update(inputs.numpy().tobytes())
        return content.hexdigest()

    def cut(self, split: int, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        return TensorBatches(*self.parts[split], device=device, batch_size=batch_size, seed=seed)
