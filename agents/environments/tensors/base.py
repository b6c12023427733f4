"""What an environment is as pure functions of tensors.

A state goes in and the next state comes out. Nothing is changed in place, no value is looked at by Python, and all
random numbers are arguments. So a rollout of policy and environments can be traced as one program, compiled, or
captured as a CUDA graph. `N` is the number of copies, and always the first axis.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from gymnasium import spaces
from torch import Tensor

State = Any
"""A NamedTuple of tensors `(N, ...)`. `steps`, int32 `(N,)`, counts the steps of the current episode."""


class Moved(NamedTuple):
    """Where a step leads before any reset: rewards `(N,)` float32, terminated `(N,)` bool."""

    state: State
    rewards: Tensor
    terminated: Tensor


class Stepped(NamedTuple):
    """A step of `N` copies. A copy whose episode ends is reset in the same step.

    Args:
        state: of the new episode where one has ended.
        observations: `(N, *shape)`, what is seen of `state`.
        rewards: `(N,)` float32.
        terminated: `(N,)` bool, ended by the task itself.
        truncated: `(N,)` bool, cut off by the time limit. An episode may be both.
        last: `(N, *shape)`, what was seen before the reset. It equals `observations` where no episode has ended.
    """

    state: State
    observations: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    last: Tensor


@dataclass(frozen=True)
class TensorEnv(ABC):
    """An environment. A subclass says how an episode begins, how a state moves and what is seen of it.

    Uniforms are random numbers in [0, 1), `(N, draws)`: those of `initial` and of one `step`. A state of real numbers
    has their type: with float64 it follows Gymnasium's environments to the last digits, and float32 is faster.
    Observations are float32 or uint8.

    Args:
        max_episode_steps: after which an episode is truncated.
    """

    draws: ClassVar[int]
    """Uniforms for one step of one copy, its reset included."""

    max_episode_steps: int

    @property
    @abstractmethod
    def observation_space(self) -> spaces.Box:
        """Of one copy."""

    @property
    @abstractmethod
    def action_space(self) -> spaces.Discrete | spaces.Box:
        """Of one copy."""

    @abstractmethod
    def initial(self, uniforms: Tensor) -> State:
        """Return `N` states in which episodes begin, with `steps` of 0."""

    @abstractmethod
    def observe(self, state: State) -> Tensor:
        """Return what is seen, `(N, *shape)`."""

    @abstractmethod
    def move(self, state: State, actions: Tensor, uniforms: Tensor) -> Moved:
        """Return where actions lead, without time limit and reset; `steps` may stay as they are."""

    def step(self, state: State, actions: Tensor, uniforms: Tensor) -> Stepped:
        """Take one step in all copies. Actions are int64 `(N,)` for Discrete, float32 `(N, *shape)` for Box; they are
        not checked."""
        moved, rewards, terminated = self.move(state, actions, uniforms)
        steps = state.steps + 1
        truncated = steps >= self.max_episode_steps
        ended = terminated | truncated
        last = self.observe(moved)
        begun = self.initial(uniforms)
        state = _chosen(ended, begun, moved._replace(steps=steps))
        return Stepped(state, self.observe(state), rewards, terminated, truncated, last)


def _chosen(where: Tensor, one: State, other: State) -> State:
    """Return the rows of `one` where `where` `(N,)` is true, and those of `other` elsewhere."""
    return type(one)(*(torch.where(_like(where, a), a, b) for a, b in zip(one, other, strict=True)))


def _like(where: Tensor, part: Tensor) -> Tensor:
    """Return `where` `(N,)` with as many axes as `part`."""
    return where.reshape(-1, *(1,) * (part.dim() - 1))
