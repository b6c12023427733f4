"""Batches of sequences of different lengths: similar lengths stand together, and the rest is padding with a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Unpack

import torch
from torch import Tensor

from lab.data.batch import Batch
from lab.data.batches import CutBatches, Options
from lab.errors import DataError

POOL = 50
"""Batches whose examples are sorted by length together. More means less padding, and batches that mix less."""


class LengthBatches(CutBatches):
    """Batches of sequences of any length, each padded to the longest in its batch.

    A shuffled epoch is cut into pools of many batches, each pool is sorted by length and cut into batches, and the
    batches are shuffled (Khomenko et al. 2016). All this depends on seed and epoch alone. Where nothing is shuffled,
    examples keep their order.

    Args:
        sequences: `(T_i, ...)` each, with at least one step, of one type and device.
        targets: `(N, ...)`, one for each sequence; or sequences as long as the inputs, which are padded like them; None
            for none.
        pad: fills up the inputs.
        pad_target: fills up targets that are sequences.
        weigh: whether a mean over a batch is taken over its `examples` or its real `steps`.
        options: see `Options`.
    """

    def __init__(
        self,
        sequences: Sequence[Tensor],
        targets: Tensor | Sequence[Tensor] | None = None,
        *,
        pad: float = 0,
        pad_target: float = 0,
        weigh: Literal["examples", "steps"] = "examples",
        **options: Unpack[Options],
    ) -> None:
        if not sequences or not all(len(sequence) for sequence in sequences):
            raise DataError("there must be sequences, each of at least one step, to cut batches from")
        self.lengths = torch.tensor([len(sequence) for sequence in sequences])
        # End to end in one tensor, so that a batch is one indexing on the device.
        self.steps = torch.cat(list(sequences))
        self.targets = targets if targets is None or isinstance(targets, Tensor) else torch.cat(list(targets))
        self.long_targets = targets is not None and not isinstance(targets, Tensor)
        if self.targets is not None and len(self.targets) != (len(self.steps) if self.long_targets else len(sequences)):
            raise DataError("targets must be one for each sequence, or as long as the sequences")
        self.pad, self.pad_target, self.weigh = pad, pad_target, weigh
        device = self.steps.device
        self.starts = (self.lengths.cumsum(0) - self.lengths).to(device)
        self.device_lengths = self.lengths.to(device)
        super().__init__(len(sequences), device, **options)

    def order(self) -> Tensor:
        if self.seed is None:
            return super().order()
        generator = self.order_generator()
        shuffled = torch.randperm(self.count, generator=generator)
        whole = self.count // self.batch_size * self.batch_size  # what is left over is a random choice, not the longest
        pools = shuffled[:whole].split(POOL * self.batch_size)  # type: ignore[no-untyped-call]
        by_length = torch.cat([pool[self.lengths[pool].argsort(stable=True)] for pool in pools])
        batches = by_length.view(-1, self.batch_size)
        mixed = batches[torch.randperm(len(batches), generator=generator)]
        return torch.cat([mixed.flatten(), shuffled[whole:]])

    def take(self, chosen: Tensor) -> Batch:
        return self.cut(chosen.cpu(), chosen)

    def cut(self, here: Tensor, chosen: Tensor) -> Batch:
        lengths = self.lengths[here]
        places = torch.arange(int(lengths.max()), device=self.device)
        mask = places < self.device_lengths[chosen, None]  # (B, T)
        found = (self.starts[chosen, None] + places).clamp(max=len(self.steps) - 1)
        inputs = _padded(self.steps[found], mask, self.pad)
        targets = self.targets
        if targets is not None:
            targets = _padded(targets[found], mask, self.pad_target) if self.long_targets else targets[chosen]
        return Batch(inputs, targets, mask, int(lengths.sum()) if self.weigh == "steps" else len(chosen))


def _padded(steps: Tensor, mask: Tensor, value: float) -> Tensor:
    """Put `value` where the mask `(B, T)` is false into steps `(B, T, ...)`."""
    return steps.masked_fill(~mask.view(*mask.shape, *[1] * (steps.dim() - 2)), value)
