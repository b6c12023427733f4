"""Batches of sequences of different lengths: similar lengths stand together, and the rest is padding with a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Unpack

import torch
from torch import Tensor

from lab.data.batch import Batch
from lab.data.batches import CutBatches, Options
from lab.errors import DataError

POOL = 50
"""Batches whose examples are sorted by length together. More means less padding, and batches that mix less."""


class Strung:
    """Sequences end to end in one tensor, so that those of a batch are one indexing on the device.

    Args:
        sequences: `(T_i, ...)` each, with at least one step, of one type and device.
        pad: fills up the shorter ones of a batch.

    Raises DataError where there are none, or one has no step.
    """

    def __init__(self, sequences: Sequence[Tensor], pad: float) -> None:
        if not sequences or not all(len(sequence) for sequence in sequences):
            raise DataError("there must be sequences, each of at least one step, to cut batches from")
        self.lengths, self.pad = torch.tensor([len(sequence) for sequence in sequences]), pad
        self.steps = torch.cat(list(sequences))
        self.device_lengths = self.lengths.to(self.steps.device)
        self.starts = self.device_lengths.cumsum(0) - self.device_lengths

    def cut(self, here: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return sequences by their numbers, `(B, T, ...)`, and their mask, `(B, T)`. The numbers are given on the CPU
        and on the device."""
        places = torch.arange(int(self.lengths[here].max()), device=self.steps.device)
        mask = places < self.device_lengths[chosen, None]
        found = self.steps[(self.starts[chosen, None] + places).clamp(max=len(self.steps) - 1)]
        return found.masked_fill(~mask.view(*mask.shape, *[1] * (found.dim() - 2)), self.pad), mask


def moved(sequences: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Return sequences on the device, brought there at once."""
    return list(torch.cat(list(sequences)).to(device).split([*map(len, sequences)]))  # type: ignore[no-untyped-call]


class LengthBatches(CutBatches):
    """Batches of sequences of any length, each padded to the longest in its batch.

    A shuffled epoch is cut into pools of many batches, each pool is sorted by length and cut into batches, and the
    batches are shuffled (Khomenko et al. 2016). All this depends on seed and epoch alone. Where nothing is shuffled,
    examples keep their order.

    Args:
        sequences: `(T_i, ...)` each, with at least one step, of one type and device. Or several of these by name, such
            as sources and what was written so far, or the tokens and the parents of trees: then inputs and masks are
            dicts, an example is as long as its parts together, and `targets` may have lengths of their own.
        targets: `(N, ...)`, one for each sequence; or sequences as long as the inputs, which are padded like them; None
            for none.
        pad: fills up the inputs.
        pad_target: fills up targets that are sequences.
        weigh: whether a mean over a batch is taken over its `examples` or its real `steps`: those of targets that are
            sequences, else those of the inputs.
        options: see `Options`.

    Raises DataError where there are no sequences, one has no step, or the numbers of parts or targets differ.
    """

    def __init__(
        self,
        sequences: Sequence[Tensor] | Mapping[str, Sequence[Tensor]],
        targets: Tensor | Sequence[Tensor] | None = None,
        *,
        pad: float = 0,
        pad_target: float = 0,
        weigh: Literal["examples", "steps"] = "examples",
        **options: Unpack[Options],
    ) -> None:
        by_name = sequences if isinstance(sequences, Mapping) else {"": sequences}
        self.parts = {key: Strung(part, pad) for key, part in by_name.items()}
        self.several, self.weigh = isinstance(sequences, Mapping), weigh
        if len(counts := {len(part.lengths) for part in self.parts.values()}) != 1:
            raise DataError(f"there must be as many sequences of each part, received {sorted(counts)}")
        self.lengths = torch.stack([part.lengths for part in self.parts.values()]).sum(0)
        self.targets = targets if targets is None or isinstance(targets, Tensor) else Strung(targets, pad_target)
        if targets is not None and len(targets) != len(self.lengths):
            raise DataError(f"targets must be one for each sequence, {len(self.lengths)}, received {len(targets)}")
        own = self.targets.lengths if isinstance(self.targets, Strung) and not self.several else self.lengths
        if not torch.equal(own, self.lengths):
            raise DataError("targets that are sequences must be as long as the inputs")
        super().__init__(len(self.lengths), next(iter(self.parts.values())).steps.device, **options)

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
        found = {key: part.cut(here, chosen) for key, part in self.parts.items()}
        inputs, mask = ({key: pair[number] for key, pair in found.items()} for number in (0, 1))
        targets, counted = self.targets, self.lengths
        if isinstance(targets, Strung):
            counted = targets.lengths
            targets, _ = targets.cut(here, chosen)
        elif targets is not None:
            targets = targets[chosen]
        weight = int(counted[here].sum()) if self.weigh == "steps" else len(chosen)
        if not self.several:
            return Batch(inputs[""], targets, mask[""], weight)
        return Batch(inputs, targets, mask, weight)
