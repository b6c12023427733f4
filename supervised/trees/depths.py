"""Accuracy by the depth of an expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchmetrics import Metric

from lab.training.pictures import canvas, rendered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image


class AccuracyAt(Metric):  # type: ignore[misc]
    """The share of the expressions of one depth that are evaluated correctly; 0 where there is none.

    Args:
        depth: that counts; all for 0.
    """

    full_state_update = False
    right: Tensor
    every: Tensor

    def __init__(self, depth: int = 0) -> None:
        super().__init__()
        self.depth = depth
        for state in ("right", "every"):
            self.add_state(state, torch.tensor(0), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, true: Tensor, depths: Tensor) -> None:
        """Count predicted and true digits and the depths of expressions, `(B,)`."""
        counted = depths == self.depth if self.depth else torch.ones_like(depths, dtype=torch.bool)
        self.right += (counted & (predicted == true)).sum()
        self.every += counted.sum()

    def compute(self) -> Tensor:
        return self.right / self.every.clamp(min=1)


def by_depth(shares: Mapping[int, float], simple: Mapping[int, float]) -> Image:
    """Draw the accuracy at each depth beside that of a simple method."""
    figure = canvas(5, 3.2)
    axes = figure.add_subplot()
    for shift, values, name, colour in (
        (-0.2, shares, "model", "tab:blue"),
        (0.2, simple, "the root's own digits alone", "0.6"),
    ):
        places = [depth + shift for depth in values]
        bars = axes.bar(places, [100 * one for one in values.values()], 0.38, label=name, color=colour)
        axes.bar_label(bars, fmt="%.1f", fontsize=8)
    axes.set(xlabel="operators above each other", ylabel="accuracy, %", ylim=(0, 112), xticks=list(shares))
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return rendered(figure)
