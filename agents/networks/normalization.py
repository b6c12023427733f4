"""Running normalisation of observations and rewards. The statistics are part of every checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

CLIP = 10.0
EPSILON = 1e-8


class RunningNorm(nn.Module):
    """Observations `(B, *shape)` to zero mean and unit variance, clipped to [-10, 10].

    The statistics are those of all training observations so far. They change only between updates, so that a policy is
    the same function during a rollout and while learning from it. Before the first update it is the identity.
    """

    running_mean: Tensor
    running_var: Tensor
    count: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_var", torch.ones(shape))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.running_mean) * torch.rsqrt(self.running_var + EPSILON)).clamp(-CLIP, CLIP)

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        """Take in observations `(B, *shape)` (Chan, Golub & LeVeque 1983: pairwise update of mean and variance)."""
        x, rows = x.float(), len(x)
        total = self.count + rows
        delta = x.mean(0) - self.running_mean
        spread = self.running_var * self.count + x.var(0, unbiased=False) * rows
        self.running_var.copy_((spread + delta**2 * self.count * rows / total) / total)
        self.running_mean += delta * rows / total
        self.count.copy_(total)


class RewardScale:
    """Divides rewards by the standard deviation of the discounted return, and clips them to [-10, 10]
    (Engstrom et al. 2020, "Implementation Matters", section 3).

    Args:
        num_envs: environments stepped together.
        gamma: discount.
    """

    def __init__(self, num_envs: int, gamma: float) -> None:
        self.gamma = gamma
        self.returns = np.zeros(num_envs)
        self.mean, self.var, self.count = 0.0, 1.0, 0.0

    def update(self, rewards: np.ndarray[Any, Any], ended: np.ndarray[Any, Any]) -> None:
        """Take in rewards `(T, N)` and where episodes ended, `(T, N)` bool."""
        seen = np.empty(rewards.shape)
        for t, reward in enumerate(rewards):
            self.returns = self.returns * self.gamma + reward
            seen[t] = self.returns
            self.returns[ended[t]] = 0.0
        total = self.count + seen.size
        delta = float(seen.mean()) - self.mean
        spread = self.var * self.count + float(seen.var()) * seen.size
        self.var = (spread + delta**2 * self.count * seen.size / total) / total
        self.mean, self.count = self.mean + delta * seen.size / total, total

    @property
    def factor(self) -> float:
        """The factor for rewards."""
        return float(1 / np.sqrt(self.var + EPSILON))

    def state_dict(self) -> dict[str, Any]:
        """Return the statistics."""
        return {"returns": self.returns.copy(), "mean": self.mean, "var": self.var, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.returns = np.array(state["returns"])
        self.mean, self.var, self.count = state["mean"], state["var"], state["count"]
