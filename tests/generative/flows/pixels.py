"""Images of two pixels as a data set, whose entropy is known."""

from __future__ import annotations

import torch

from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec, InputSpec


class Pixels(DataModule):
    """Two pixels: one is black in three of four images, else of level 1, and the other is always white."""

    def __init__(self) -> None:
        self.spec = DataSpec(InputSpec((1, 1, 2)))
        first = (torch.arange(8_000) % 4 == 0).float() / 255
        self.images = torch.stack([first, torch.ones(8_000)], 1).view(-1, 1, 1, 2)

    def prepare(self) -> None: ...

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> list[Batch]:  # type: ignore[override]
        return Whole([Batch(part) for part in torch.split(self.images, 1_000)])

    def validation(self, device: torch.device) -> None: ...

    def test(self, device: torch.device) -> list[Batch]:  # type: ignore[override]
        return Whole([Batch(self.images)])


class Whole(list[Batch]):
    """Batches that need no position."""

    def state_dict(self) -> dict[str, int]:
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None: ...
