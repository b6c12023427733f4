"""The replay buffer (Lin 1992): transitions of the past, drawn at random, one by one or summed over several steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from agents.buffers.limits import require_memory
from agents.buffers.priorities import Priorities
from agents.environments.vector import Steps
from agents.spaces.observations import Tensors, arrays, at, each, put, to_device


class Sample(NamedTuple):
    """Transitions on the agent's device, `(B, ...)`.

    Args:
        rewards: summed and discounted over up to n steps.
        next_observations: after these steps.
        discounts: gamma to their number; 0 where the episode terminated.
        weights: importance weights of prioritized replay; None where all are 1.
    """

    observations: Tensors
    actions: Tensor
    rewards: Tensor
    next_observations: Tensors
    discounts: Tensor
    weights: Tensor | None


class Replay:
    """The last transitions of `N` environments. Built by SB3 in the place of its ReplayBuffer.

    Args:
        buffer_size: transitions kept, over all environments.
        n_steps: steps whose rewards are summed; fewer where an episode ends, or the buffer does.
        gamma: discount.
        alpha: how strongly priorities count (Schaul et al. 2016, Equation 1); None for uniform replay.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "cpu",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        *,
        n_steps: int = 1,
        gamma: float = 0.99,
        alpha: float | None = None,
    ) -> None:
        rows = self.buffer_size = max(buffer_size // n_envs, 1)
        require_memory("agent.buffer_size", "transitions", observation_space, rows * n_envs, copies=2)
        self.n_envs, self.n_steps, self.gamma, self.device = n_envs, n_steps, gamma, torch.device(device)
        self.observations, self.next_observations = (arrays(observation_space, rows, n_envs) for _ in range(2))
        self.actions: np.ndarray[Any, Any] = arrays(action_space, rows, n_envs)
        self.rewards = np.zeros((rows, n_envs), dtype=np.float32)
        self.terminated, self.truncated = np.zeros((2, rows, n_envs), dtype=bool)
        self.pos, self.full = 0, False
        self.priorities = Priorities(rows * n_envs, alpha) if alpha is not None else None
        self.drawn: np.ndarray[Any, Any] = np.zeros(0, dtype=int)
        """The places of the transitions that `sample` drew last."""

    def size(self) -> int:
        """Number of rows, each with a transition of every environment."""
        return self.buffer_size if self.full else self.pos

    def add(self, observations: Any, actions: np.ndarray[Any, Any], steps: Steps) -> None:
        """Add one transition of every environment: observations, actions, and the result of the step."""
        pos = self.pos
        put(self.observations, pos, observations)
        put(self.next_observations, pos, steps.observations)
        if steps.last is not None:
            ended = np.flatnonzero(steps.terminated | steps.truncated)
            put(self.next_observations, (pos, ended), at(steps.last, ended))
        self.actions[pos], self.rewards[pos] = actions, steps.rewards
        self.terminated[pos], self.truncated[pos] = steps.terminated, steps.truncated
        if self.priorities is not None:
            self.priorities.appear(np.arange(pos * self.n_envs, (pos + 1) * self.n_envs))
        self.pos = (pos + 1) % self.buffer_size
        self.full |= self.pos == 0

    def cut_off(self) -> None:
        """End the episodes with the newest row, as a time limit would: n-step sums end there and bootstrap."""
        newest = self.pos - 1
        self.truncated[newest] = ~self.terminated[newest]

    def sample(self, count: int, beta: float = 1.0) -> Sample:
        """Draw `count` transitions with replacement.

        Args:
            beta: exponent of the importance weights, from 0 (no correction) to 1 (full correction).
        """
        if self.priorities is None:
            slots, weights = torch.randint(self.size() * self.n_envs, (count,)).numpy(), None
        else:
            slots, weights = self.priorities.draw(count, self.size() * self.n_envs, beta)
        self.drawn = slots
        rows, copies = slots // self.n_envs, slots % self.n_envs
        rewards, last, discounts = self._sums(rows, copies)
        return Sample(
            to_device(at(self.observations, (rows, copies)), self.device),
            self._tensor(self.actions[rows, copies]),
            self._tensor(rewards),
            to_device(at(self.next_observations, (last, copies)), self.device),
            self._tensor(discounts),
            None if weights is None else self._tensor(weights),
        )

    def update_priorities(self, errors: Tensor) -> None:
        """Set the priorities of the transitions drawn last from their temporal difference errors `(B,)`."""
        assert self.priorities is not None
        self.priorities.update(self.drawn, errors.abs().cpu().numpy())

    def _sums(self, rows: np.ndarray[Any, Any], copies: np.ndarray[Any, Any]) -> tuple[Any, Any, Any]:
        """Return rewards summed over up to n steps, the row of the last of these steps, and the discount after it."""
        if self.n_steps == 1:
            return self.rewards[rows, copies], rows, self.gamma * ~self.terminated[rows, copies]
        newest = (self.pos - 1) % self.buffer_size
        total = np.zeros(len(rows), dtype=np.float32)
        discount, going, last, now = np.ones(len(rows)), np.ones(len(rows), dtype=bool), rows, rows
        for _ in range(self.n_steps):
            total += discount * going * self.rewards[now, copies]
            discount = np.where(going, discount * self.gamma, discount)
            last = np.where(going, now, last)
            going = going & ~self.terminated[now, copies] & ~self.truncated[now, copies] & (now != newest)
            now = (now + 1) % self.buffer_size
        return total, last, discount * ~self.terminated[last, copies]

    def _tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        return each(torch.from_numpy, array).to(self.device, non_blocking=True)  # type: ignore[no-any-return]
