"""Small binary images made of nothing but a rule."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from lab.data import Batches, DataModule, DatasetInfo, DataSpec, InputSpec
from lab.data.batches import TensorBatches
from lab.data.spec import Classes


class Boards(DataModule):
    """Chessboards of `side` fields. Their class is their upper left field, and both classes are equally many.

    Args:
        count: boards to train on; the same ones are the test.
        side: of a board, in pixels.
        batch_size: boards per batch.
    """

    def __init__(self, *, count: int = 1_000, side: int = 6, batch_size: int = 100) -> None:
        self.count, self.side, self.batch_size = count, side, batch_size

    def prepare(self) -> None:
        places = torch.arange(self.side)
        self.labels = torch.arange(self.count) % 2
        fields = places[:, None] + places + self.labels[:, None, None]
        self.boards: Tensor = (fields % 2).float().unsqueeze(1)
        self.spec = DataSpec(InputSpec((1, self.side, self.side)), Classes(2))
        self.info = DatasetInfo("boards", hashlib.sha256(self.boards.numpy().tobytes()).hexdigest())

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return TensorBatches(
            self.boards, self.labels, device=device, batch_size=batch_size or self.batch_size, seed=seed
        )

    def validation(self, device: torch.device) -> None:
        return None

    def test(self, device: torch.device) -> Batches:
        return TensorBatches(self.boards, self.labels, device=device, batch_size=self.batch_size, seed=None)
