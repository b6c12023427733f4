"""What an environment is as pure functions of tensors.

A state goes in and the next state comes out. Nothing is changed in place, no value is looked at by Python, and all
random numbers are arguments. So a rollout of policy and environments can be traced as one program, compiled, or
captured as a CUDA graph. The same functions take NumPy arrays: those are several times faster on a CPU where nothing
is compiled. `N` is the number of copies, and always the first axis.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from gymnasium import spaces

Array = Any
"""A tensor or a NumPy array; all that a function takes and returns are of one kind."""

State = Any
"""A NamedTuple of arrays `(N, ...)`. `steps`, int32 `(N,)`, counts the steps of the current episode."""


class Moved(NamedTuple):
    """Where a step leads before any reset: rewards `(N,)` float32, terminated `(N,)` bool."""

    state: State
    rewards: Array
    terminated: Array


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
    observations: Array
    rewards: Array
    terminated: Array
    truncated: Array
    last: Array


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
    def initial(self, uniforms: Array) -> State:
        """Return `N` states in which episodes begin, with `steps` of 0."""

    @abstractmethod
    def observe(self, state: State) -> Array:
        """Return what is seen, `(N, *shape)`, in memory of its own."""

    @abstractmethod
    def move(self, state: State, actions: Array, uniforms: Array) -> Moved:
        """Return where actions lead, without time limit and reset; `steps` may stay as they are."""

    def step(self, state: State, actions: Array, uniforms: Array) -> Stepped:
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


def namespace(array: Array) -> Any:
    """Return the module whose functions take this kind of array: torch or NumPy."""
    return torch if isinstance(array, torch.Tensor) else np


def as_type(array: Array, dtype: Any) -> Array:
    """Return a copy of another type."""
    return array.to(dtype, copy=True) if isinstance(array, torch.Tensor) else array.astype(dtype)


def _chosen(which: Array, one: State, other: State) -> State:
    """Return the rows of `one` where `which` `(N,)` is true, and those of `other` elsewhere."""
    where = namespace(which).where
    return type(one)(*(where(_like(which, a), a, b) for a, b in zip(one, other, strict=True)))


def _like(which: Array, part: Array) -> Array:
    """Return `which` `(N,)` with as many axes as `part`."""
    return which.reshape(-1, *(1,) * (part.ndim - 1))
