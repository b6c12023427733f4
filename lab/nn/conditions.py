"""What a network is told beside its input: a time and a class as one vector (Ho et al. 2020; Dhariwal & Nichol 2021),
or a class and how far a sequence has come."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.nn.sequences.positions import waves

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


class Course(nn.Module):
    """What each step of a sequence is told: its class, and how much of the sequence is over.

    Each class has vectors for points spread evenly from the first step to the last. A step between two points has what
    is between their vectors, so that a sequence that is twice as long takes the same course at half the speed.

    Args:
        classes: their number.
        points: vectors of a class.
        width: numbers of a vector.
    """

    def __init__(self, classes: int, points: int, width: int) -> None:
        super().__init__()
        self.points = nn.Parameter(torch.randn(classes, points, width))

    def forward(self, labels: Tensor, lengths: Tensor, steps: int) -> Tensor:
        """Return conditions `(B, width, steps)` for sequences of classes and lengths `(B,)`. What is beyond the length
        of a sequence has what its last step has."""
        last = self.points.shape[1] - 1
        done = torch.arange(steps, device=lengths.device) / (lengths[:, None] - 1).clamp(min=1)
        at = done.clamp(max=1) * last  # (B, steps), in points
        before = at.long().clamp(max=max(0, last - 1))
        after = (before + 1).clamp(max=last)
        rows = labels[:, None]
        found = torch.lerp(self.points[rows, before], self.points[rows, after], (at - before)[..., None])
        return found.movedim(-1, 1)
