"""The adding problem: a number to remember over many steps (Hochreiter & Schmidhuber 1997, section 5.4)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lab.config.types import NonNegativeInt, PositiveInt
from lab.data.base import DatasetInfo
from lab.data.batches import GeneratedData
from lab.data.spec import DataSpec, InputSpec, Values
from lab.errors import ConfigError


class Sums(NamedTuple):
    """Sequences `(N, T, 2)` and what the marked numbers of each add up to, `(N,)`."""

    steps: Tensor
    totals: Tensor


class Adding(GeneratedData):
    """Generated sequences of pairs: a random number in [0, 1], and a mark that is 1 at two steps, one in each half of
    the sequence, and 0 elsewhere. The target is the sum of the two marked numbers. They are the same for all seeds.

    Args:
        length: steps of a sequence, T.
        train_size: sequences for training.
        val_size: for validation.
        test_size: for the test.
        batch_size: sequences per training batch.
        eval_batch_size: sequences per validation and test batch.
    """

    def __init__(
        self,
        *,
        length: PositiveInt = 200,
        train_size: PositiveInt = 50_000,
        val_size: NonNegativeInt = 1_000,
        test_size: PositiveInt = 5_000,
        batch_size: PositiveInt = 64,
        eval_batch_size: PositiveInt = 500,
    ) -> None:
        if length < 2:
            raise ConfigError(f"data.length must be at least 2, for two marked steps, received {length}")
        self.length, self.train_size, self.val_size, self.test_size = length, train_size, val_size, test_size
        self.batch_size, self.eval_batch_size, self.validates = batch_size, eval_batch_size, val_size > 0

    def prepare(self) -> None:
        train, validation, test = self.train_size, self.val_size, self.test_size
        self.parts = (sums(train, self.length, 0), sums(validation, self.length, 1), sums(test, self.length, 2))
        self.info = DatasetInfo("adding", self.digest())
        self.spec = DataSpec(InputSpec((self.length, 2)), Values(()))


def sums(count: int, length: int, seed: int) -> Sums:
    """Return so many sequences, which follow from the seed."""
    numbers = torch.Generator().manual_seed(seed)
    steps = torch.zeros(count, length, 2)
    steps[..., 0] = torch.rand(count, length, generator=numbers)
    half, each = length // 2, torch.arange(count)
    first = torch.randint(half, (count,), generator=numbers)
    second = half + torch.randint(length - half, (count,), generator=numbers)
    steps[each, first, 1] = steps[each, second, 1] = 1
    return Sums(steps, (steps[..., 0] * steps[..., 1]).sum(1))
