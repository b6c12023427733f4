"""A time and a class as one vector, which a network is told (Ho et al. 2020; Dhariwal & Nichol 2021)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lab.nn.positions import waves

FINEST = 1_000.0
"""A step of time that is told apart is one divided by this; the papers count a thousand steps."""


class TimeAndClass(nn.Module):
    """Turns times `(B,)` in [0, 1] and classes `(B,)` into conditions `(B, width)`.

    The class `none`, one more than there are, says nothing: an image has it whose class is not to be known.

    Args:
        classes: their number.
        width: numbers of a condition.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.none, self.width = classes, width
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.classes = nn.Embedding(classes + 1, width)

    def forward(self, time: Tensor, labels: Tensor) -> Tensor:
        return F.silu(self.time(waves(FINEST * time, self.width)) + self.classes(labels))
