"""Generated sequences of different lengths, whose class is their first token; only a memory can tell it at the end."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from lab.config.types import PositiveInt
from lab.data import Batches, DataModule, DatasetInfo, DataSpec, InputSpec
from lab.data.lengths import LengthBatches
from lab.data.spec import Classes

VOCAB, CLASSES, PAD = 6, 3, 0


class FirstTokens(DataModule):
    """Sequences of 1 to `longest` tokens. The first is the class plus 1, the others are random.

    Args:
        count: sequences to train on; a quarter as many are for validation, and for the test.
        longest: sequence.
        batch_size: sequences per batch.
    """

    def __init__(self, *, count: PositiveInt = 256, longest: PositiveInt = 8, batch_size: PositiveInt = 16) -> None:
        self.count, self.longest, self.batch_size = count, longest, batch_size

    def prepare(self) -> None:
        generator = torch.Generator().manual_seed(0)
        lengths = torch.randint(1, self.longest + 1, (self.count * 3 // 2,), generator=generator)
        self.sequences = [torch.randint(1, VOCAB, (int(n),), generator=generator) for n in lengths]
        self.labels = torch.randint(CLASSES, (len(lengths),), generator=generator)
        for sequence, label in zip(self.sequences, self.labels, strict=True):
            sequence[0] = label + 1
        self.spec = DataSpec(InputSpec((self.longest,), "int64", vocab=VOCAB), Classes(CLASSES))
        digest = hashlib.sha256(torch.cat(self.sequences).numpy().tobytes() + self.labels.numpy().tobytes())
        self.info = DatasetInfo("first-tokens", digest.hexdigest())

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return self._batches(slice(self.count), device, batch_size or self.batch_size, seed)

    def validation(self, device: torch.device) -> Batches:
        return self._batches(slice(self.count, self.count * 5 // 4), device, self.batch_size)

    def test(self, device: torch.device) -> Batches:
        return self._batches(slice(self.count * 5 // 4, None), device, self.batch_size)

    def _batches(self, part: slice, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        sequences: list[Tensor] = [sequence.to(device) for sequence in self.sequences[part]]
        return LengthBatches(sequences, self.labels[part].to(device), pad=PAD, batch_size=batch_size, seed=seed)
