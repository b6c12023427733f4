"""The rollout buffer: the steps that an on-policy agent collected since its last update."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from agents.buffers.advantages import advantages_and_returns
from agents.buffers.limits import require_memory
from agents.networks.extractor import RecurrentState
from agents.spaces.observations import Tensors, at, each, tensors


class Transitions(NamedTuple):
    """Transitions to learn from, `(B, ...)`.

    For recurrent policies `observations` and `starts` are sequences, `(T, B / T, ...)`; the others are flat, in the
    same order.

    Args:
        log_probs: of the actions, by the policy that took them.
        values: of the observations, by the value function of that time.
        starts: 1 where an episode begins; for recurrent policies.
        memory: the recurrent state before each sequence.
    """

    observations: Tensors
    actions: Tensor
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    starts: Tensor | None = None
    memory: RecurrentState = ()


class CutOff(NamedTuple):
    """Episodes that a time limit ended at step `t` of a rollout: their rows, last observations and recurrent state."""

    t: int
    rows: np.ndarray[Any, Any]
    last: Any
    memory: RecurrentState


class Rollout:
    """`T` steps of `N` environments, written in place. Built by SB3 in the place of its RolloutBuffer."""

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "cpu",
        gae_lambda: float = 1.0,
        gamma: float = 0.99,
        n_envs: int = 1,
    ) -> None:
        lead = (buffer_size, n_envs)
        steps = f"steps ({buffer_size:,} in each of {n_envs} copies)"
        require_memory("agent.n_steps", steps, observation_space, buffer_size * n_envs)
        self.gamma, self.gae_lambda, self.n_steps, self.n_envs = gamma, gae_lambda, buffer_size, n_envs
        self.observations: Tensors = tensors(observation_space, *lead, device=device)
        self.actions: Tensor = tensors(action_space, *lead, device=device)
        self.log_probs, self.values = torch.zeros(2, *lead, device=device)
        # These come from the environments: they are collected in numpy, and moved once.
        self.rewards, self.starts = np.zeros(lead, np.float32), np.zeros(lead, np.float32)
        self.advantages = self.returns = torch.zeros(lead, device=device)
        self.memory: RecurrentState = ()
        """Of recurrent policies, before the first step."""

    def finish(self, last_values: Tensor, last_starts: np.ndarray[Any, Any]) -> None:
        """Compute advantages and returns; `last_values` `(N,)` are those of the states after the last step."""
        estimated = advantages_and_returns(
            self.rewards,
            self.values.cpu().numpy(),
            self.starts,
            last_values.cpu().numpy(),
            last_starts.astype(np.float32),
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
        )
        self.advantages, self.returns = (torch.from_numpy(x).to(self.values.device) for x in estimated)

    def explained_variance(self) -> float:
        """Return 1 - Var(returns - values) / Var(returns); NaN where all returns are the same."""
        returns, values = (x.cpu().numpy().astype(float) for x in (self.returns, self.values))
        return float(1 - (returns - values).var() / returns.var()) if np.ptp(returns) else float("nan")

    def batches(self, size: int, *, normalize: bool) -> Iterator[Transitions]:
        """Yield all transitions once, in random order and batches of `size`, with normalised advantages if wished."""
        rows = self.n_steps * self.n_envs
        flat = each(lambda x: x.flatten(0, 1), self.observations)
        columns = [x.flatten(0, 1) for x in (self.actions, self.log_probs, self.values, self.advantages, self.returns)]
        if size < rows:
            order = torch.randperm(rows, device=self.values.device)
            flat, columns = at(flat, order), [column[order] for column in columns]
        for start in range(0, rows, size):
            part = slice(start, start + size)
            actions, log_probs, values, advantages, returns = (column[part] for column in columns)
            if normalize:
                advantages = normalized(advantages)
            yield Transitions(at(flat, part), actions, log_probs, values, advantages, returns)

    def sequences(self, size: int, *, normalize: bool) -> Iterator[Transitions]:
        """The same for recurrent policies: whole sequences of some environments, `size` transitions in all."""
        starts = torch.from_numpy(self.starts).to(self.values.device)
        order = torch.randperm(self.n_envs)
        width = size // self.n_steps
        for first in range(0, self.n_envs, width):
            some = order[first : first + width].to(self.values.device)

            def of(x: Tensor, some: Tensor = some) -> Tensor:
                return x[:, some]

            columns = (self.actions, self.log_probs, self.values, self.advantages, self.returns)
            actions, log_probs, values, advantages, returns = (of(x).flatten(0, 1) for x in columns)
            if normalize:
                advantages = normalized(advantages)
            memory = tuple(part[some] for part in self.memory)
            yield Transitions(
                each(of, self.observations), actions, log_probs, values, advantages, returns, of(starts), memory
            )


def normalized(advantages: Tensor) -> Tensor:
    """Return advantages `(B,)` with zero mean and unit standard deviation."""
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)
