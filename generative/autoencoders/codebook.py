"""A codebook: vectors are replaced by the nearest of a fixed number of codes (van den Oord et al. 2017)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Dimensions: N vectors, D numbers of each, K codes.

DEAD = 0.01
"""A code that is chosen less often than this, beside an equal share, is dead."""
SMALLEST = 1e-6


class Chosen(NamedTuple):
    """What a codebook makes of vectors.

    Args:
        codes: numbers of the nearest codes, `(N,)`, int64.
        vectors: these codes, `(N, D)`; their gradient goes to the vectors as it is (straight-through).
        distance: squared distance of each vector to its code, `(N,)`; its gradient goes to the vector alone.
    """

    codes: Tensor
    vectors: Tensor
    distance: Tensor


class Codebook(nn.Module):
    """K codes that follow the vectors for which they are the nearest.

    In training each code is the moving average of its vectors (appendix A.1 of the paper; Razavi et al. 2019, section
    2.1), so that no gradient moves it. The codes begin as vectors of the first batch. A dead one becomes a vector of
    the batch (Dhariwal et al. 2020, section 3.1), the likelier the farther it is from its own code: vectors that are
    alike need one code.

    Args:
        size: number of codes, K.
        width: numbers of each, D.
        decay: weight of the old average at each step.
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor
    started: Tensor

    def __init__(self, size: int, width: int, decay: float = 0.99) -> None:
        super().__init__()
        self.size, self.width, self.decay = size, width, decay
        self.register_buffer("vectors", torch.zeros(size, width))
        self.register_buffer("counts", torch.zeros(size))
        self.register_buffer("sums", torch.zeros(size, width))
        self.register_buffer("started", torch.tensor(False))

    def nearest(self, x: Tensor) -> Tensor:
        """Return the numbers of the codes nearest to vectors `(N, D)`, `(N,)`, int64."""
        return (self.vectors.square().sum(1) - 2 * x @ self.vectors.T).argmin(1)

    def forward(self, x: Tensor) -> Chosen:
        """Replace vectors `(N, D)`. In training mode the codes then follow them."""
        if self.training and not self.started:
            self._start(x.detach())
        codes = self.nearest(x.detach())
        vectors = self.vectors[codes]
        distance = (x - vectors).square().sum(1)
        if self.training:
            self._follow(x.detach(), codes, distance.detach())
        return Chosen(codes, x + (vectors - x).detach(), distance)

    @torch.no_grad()
    def _start(self, x: Tensor) -> None:
        """Take vectors of a batch that lie far from each other (k-means++, Arthur & Vassilvitskii 2007)."""
        distance = torch.ones(len(x), device=x.device)
        for code in range(self.size):
            self.vectors[code] = x[_drawn(distance, 1)]
            far = (x - self.vectors[code]).square().sum(1)
            distance = torch.minimum(distance, far) if code else far
        self.counts.fill_(len(x) / self.size)
        self.sums.copy_(self.vectors * self.counts[:, None])
        self.started.fill_(True)

    @torch.no_grad()
    def _follow(self, x: Tensor, codes: Tensor, distance: Tensor) -> None:
        chosen = F.one_hot(codes, self.size).to(x)  # (N, K)
        self.counts.lerp_(chosen.sum(0), 1 - self.decay)
        self.sums.lerp_(chosen.T @ x, 1 - self.decay)
        equal = len(x) / self.size  # vectors of each code, were all chosen alike
        dead = self.counts < DEAD * equal
        fresh = x[_drawn(distance, self.size)]  # for all codes: how many are dead, only the device knows
        self.counts.masked_fill_(dead, equal)
        self.sums.copy_(torch.where(dead[:, None], fresh * equal, self.sums))
        self.vectors.copy_(self.sums / self.counts[:, None])


def _drawn(distance: Tensor, count: int) -> Tensor:
    """Return so many places, `(count,)`, each with a probability in proportion to its distance, `(N,)`."""
    return (distance + SMALLEST * distance.mean() + SMALLEST**2).multinomial(count, replacement=True)
