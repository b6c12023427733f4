"""Attention to memories in several hops (Sukhbaatar et al. 2015, 'End-to-end memory networks', section 2.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# Dimensions: B examples, S memories, H hops, F features.


class Hops(nn.Module):
    """A state looks at memories several times, and changes by what it sees. It may also look at nothing.

    Args:
        width: features of a state and of a memory.
        hops: how often it looks. Each hop has weights of its own.
    """

    def __init__(self, width: int, hops: int) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(width))
        self.memory = nn.Linear(width, 2 * width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(hops))
        self.queries = nn.ModuleList(nn.Linear(width, width) for _ in range(hops))
        self.updates = nn.ModuleList(
            nn.Sequential(nn.Linear(2 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)) for _ in range(hops)
        )

    def forward(self, state: Tensor, memories: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last state, `(B, F)`, and where it looked: logarithms of weights, `(B, H, 1 + S)`, of which the
        first is that of nothing.

        Args:
            state: `(B, F)`.
            memories: `(B, S, F)`.
            mask: `(B, S)`, true where there is a memory.
        """
        key, value = self.memory(memories).chunk(2, dim=2)
        visible = torch.cat([torch.ones_like(mask[:, :1]), mask], 1)
        key = torch.cat([self.nothing.expand(len(state), 1, -1), key], 1)  # (B, 1 + S, F)
        value = torch.cat([torch.zeros_like(value[:, :1]), value], 1)
        looked = []
        for norm, query, update in zip(self.norms, self.queries, self.updates, strict=True):
            scores = (key @ query(norm(state))[:, :, None])[..., 0] / math.sqrt(state.shape[1])
            logs = scores.masked_fill(~visible, -torch.inf).log_softmax(1)
            found = (logs.exp()[:, None] @ value)[:, 0]
            state = state + update(torch.cat([state, found], 1))
            looked.append(logs)
        return state, torch.stack(looked, 1)
