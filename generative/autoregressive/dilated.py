"""Dilated causal convolutions with gates (van den Oord et al. 2016, 'WaveNet: a generative model for raw audio')."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative.autoregressive.gated import gate

# Dimensions: B sequences, T steps, F filters, S of the skip connections, C numbers of a condition, V categories.

FINEST = 12.0
"""Categories of the shortest wave that tells them apart at first."""


class DilatedLayer(nn.Module):
    """One residual block of figure 4: a step sees itself and the one `dilation` steps before it.

    Args:
        filters: of the residual connections, F.
        condition: numbers that each step is told, C.
        dilation: steps from one weight of the convolution to the next.
    """

    def __init__(self, filters: int, condition: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.gates = nn.Conv1d(filters, 2 * filters, 2, dilation=dilation)
        self.told = nn.Conv1d(condition, 2 * filters, 1, bias=False)
        self.residual = nn.Conv1d(filters, filters, 1)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the steps after this layer and what leaves it for the skip connections, `(B, F, T)` each, for steps
        `(B, F, T)` and their conditions `(B, C, T)`. Zeros stand before the first step."""
        gated = gate(self.gates(F.pad(x, (self.dilation, 0))) + self.told(y))  # equation 5
        return x + self.residual(gated), gated

    def at(self, x: Tensor, before: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same for one step `x` `(B, F)`, the one `dilation` steps before it, and its condition `(B, C)`."""
        early, now = self.gates.weight.unbind(2)
        seen = F.linear(x, now, self.gates.bias) + F.linear(before, early) + F.linear(y, self.told.weight[..., 0])
        gated = gate(seen)
        return x + F.linear(gated, self.residual.weight[..., 0], self.residual.bias), gated


class DilatedNetwork(nn.Module):
    """Logits for every step of a sequence of categories, which depend on the steps before it alone. The categories are
    in order: the vectors of neighbours are alike at first.

    `generative.autoregressive.queues` draws sequences from it.

    Args:
        vocab: categories, V.
        start: the category that stands before the first step.
        condition: numbers that each step is told, C.
        filters: of the residual connections, F.
        skip: of the skip connections, S.
        dilations: of the layers of one stack.
        stacks: of such layers, one after the other.
    """

    def __init__(
        self,
        *,
        vocab: int,
        start: int,
        condition: int,
        filters: int = 32,
        skip: int = 64,
        dilations: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
        stacks: int = 2,
    ) -> None:
        super().__init__()
        self.start = start
        self.embedding = nn.Embedding(vocab, filters, _weight=alike(vocab, filters))
        self.layers = nn.ModuleList(
            [DilatedLayer(filters, condition, dilation) for _ in range(stacks) for dilation in dilations]
        )
        self.skip = nn.Conv1d(filters * len(self.layers), skip, 1)
        """All skip connections at once: the sum of one product for each layer is one product of all."""
        self.output = nn.Sequential(nn.ReLU(), nn.Conv1d(skip, skip, 1), nn.ReLU(), nn.Conv1d(skip, vocab, 1))

    @property
    def reach(self) -> int:
        """How many steps before it a logit depends on."""
        return 1 + sum(layer.dilation for layer in self.layers)  # type: ignore[misc]

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return logits `(B, V, T)` of each step of `x` `(B, T)`, int64, with the conditions `y` `(B, C, T)`."""
        return self.logits(self.embedding(F.pad(x[:, :-1], (1, 0), value=self.start)).movedim(-1, 1), y)

    def logits(self, before: Tensor, y: Tensor) -> Tensor:
        """Return the same for the vectors of the steps before each, `(B, F, T)`."""
        x, left = before, []
        for layer in self.layers:
            x, gated = layer(x, y)
            left.append(gated)
        return self.output(self.skip(torch.cat(left, 1)))  # type: ignore[no-any-return]

    def nats(self, x: Tensor, y: Tensor) -> Tensor:
        """Return -log p of each step of `x`, `(B, T)`."""
        return F.cross_entropy(self(x, y), x, reduction="none")


def alike(count: int, width: int) -> Tensor:
    """Return vectors `(count, width)` of categories in order: sines and cosines of their numbers, with wavelengths from
    twice as many categories as there are down to `FINEST`."""
    slowest, fastest = (math.log(2 * math.pi / length) for length in (2 * count, FINEST))
    angles = torch.arange(count)[:, None] * torch.linspace(slowest, fastest, -(-width // 2)).exp()
    return torch.cat([angles.sin(), angles.cos()], 1)[:, :width]
