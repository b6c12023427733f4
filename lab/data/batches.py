"""Batches cut from tensors that live on the training device: no workers, no per-item Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lab.data.base import Batch
from lab.errors import ConfigError


class ImageBatches:
    """Batches of uint8 images, given out as float32 in [0, 1]. Each iteration is an epoch; the first one after
    `load_state_dict` is the rest of the epoch that was saved.

    Args:
        images: `(N, C, H, W)`, uint8, on the training device.
        labels: `(N,)`, int64, on the same device.
        batch_size: images per batch.
        seed: shuffles every epoch anew, as a pure function of (seed, epoch); None keeps the order.
        drop_last: leave out a smaller last batch; by default when shuffling.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, *, batch_size: int, seed: int | None, drop_last: bool | None = None
    ) -> None:
        self.images, self.labels = images, labels
        self.batch_size, self.seed = batch_size, seed
        self.drop_last = seed is not None if drop_last is None else drop_last
        self.epoch, self.batch, self.resume_at = 0, 0, 0
        if self.drop_last and batch_size > len(images):
            raise ConfigError(f"data.batch_size is {batch_size}, but there are only {len(images)} images to train on")

    def __len__(self) -> int:
        full, rest = divmod(len(self.images), self.batch_size)
        return full + bool(rest and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        start, self.resume_at = self.resume_at, 0
        # Not at the end of the loop: a consumer that counts to len() never asks for the end.
        if self.batch and not start:
            self.epoch += 1
        order = self._order()
        for batch in range(start, len(self)):
            self.batch = batch + 1  # a state saved while the consumer works on a batch counts it as consumed
            chosen = order[batch * self.batch_size : self.batch * self.batch_size]
            yield self.images[chosen].to(torch.float32).div_(255), self.labels[chosen]

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "batch": self.batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.batch = state["epoch"], state["batch"]
        self.resume_at = self.batch % len(self)

    def _order(self) -> Tensor:
        if self.seed is None:
            return torch.arange(len(self.images), device=self.images.device)
        # Drawn on the CPU, so that every kind of device sees the same order.
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return torch.randperm(len(self.images), generator=generator).to(self.images.device)
