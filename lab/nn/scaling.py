"""Numbers on a common scale: standardised columns. What it takes for that is part of the state dict."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Standardize(nn.Module):
    """Shifts and scales the columns of `(..., F)` to mean 0 and deviation 1 over the examples that it was fitted to.

    Before `fit` it changes nothing. A column that never varies is only shifted.

    Args:
        columns: F, their number.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("deviation", torch.ones(columns))

    @torch.no_grad()
    def fit(self, examples: Tensor) -> None:
        """Take mean and deviation of `examples`, `(..., F)`, over all axes but the last."""
        rows = examples.double().flatten(0, -2)
        deviation = rows.std(0, correction=0)
        self.mean.copy_(rows.mean(0))
        self.deviation.copy_(torch.where(deviation > 0, deviation, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation

    def inverse(self, z: Tensor) -> Tensor:
        """Return the numbers `(..., F)` that `forward` makes `z` of."""
        return z * self.deviation + self.mean
