"""Proportional prioritized replay (Schaul et al. 2016): a sum tree in one array, searched for a whole batch at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

SMALLEST = 1e-6
"""Added to every error, so that every transition can be drawn again."""


class Priorities:
    """Priorities of `size` slots, drawn from in proportion.

    Args:
        size: number of slots.
        alpha: how much priorities matter: 0 is uniform.
    """

    def __init__(self, size: int, alpha: float) -> None:
        self.alpha = alpha
        self.leaves = 1 << (size - 1).bit_length()
        self.tree = np.zeros(2 * self.leaves)  # node i is the sum of nodes 2i and 2i + 1; the root is 1
        self.largest = 1.0

    def appear(self, slots: np.ndarray[Any, Any]) -> None:
        """Give new transitions the largest priority so far, so that each is drawn soon."""
        self._set(slots, np.full(len(slots), self.largest))

    def update(self, slots: np.ndarray[Any, Any], errors: np.ndarray[Any, Any]) -> None:
        """Set priorities from absolute errors `(B,)`. If a slot occurs twice, the last error counts."""
        priorities = (errors.astype(np.float64) + SMALLEST) ** self.alpha
        self.largest = max(self.largest, float(priorities.max()))
        self._set(slots, priorities)

    def draw(self, count: int, filled: int, beta: float) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return `count` slots, one from each of as many equal parts of the total, and their importance weights.

        Args:
            filled: slots that have a transition.
            beta: exponent of the weights, which are `(filled * probability)^-beta`, divided by the largest of them.
        """
        total = self.tree[1]
        wanted = (np.arange(count) + torch.rand(count, dtype=torch.float64).numpy()) * (total / count)
        node = np.ones(count, dtype=np.int64)
        while node[0] < self.leaves:
            node *= 2
            left = self.tree[node]
            right = (wanted >= left) & (self.tree[node + 1] > 0)  # rounding must not lead into an empty branch
            wanted -= left * right
            node += right
        weights = (filled * self.tree[node] / total) ** -beta
        return node - self.leaves, (weights / weights.max()).astype(np.float32)

    def of(self, slots: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the priorities of slots."""
        return np.asarray(self.tree[self.leaves + slots])

    def state_dict(self) -> dict[str, Any]:
        """Return all priorities."""
        return {"tree": self.tree[self.leaves :].copy(), "largest": self.largest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.tree[self.leaves :], self.largest = state["tree"], state["largest"]
        width = self.leaves // 2
        while width:
            self.tree[width : 2 * width] = self.tree[2 * width : 4 * width].reshape(-1, 2).sum(1)
            width //= 2

    def _set(self, slots: np.ndarray[Any, Any], priorities: np.ndarray[Any, Any]) -> None:
        node = self.leaves + slots
        self.tree[node] = priorities
        while node[0] > 1:
            node = node // 2
            self.tree[node] = self.tree[2 * node] + self.tree[2 * node + 1]
