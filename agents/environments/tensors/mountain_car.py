"""MountainCar: a car that is too weak for the hill is to reach its top by swinging in the valley."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from gymnasium import spaces

from agents.environments.tensors.base import Array, Moved, TensorEnv, as_type, namespace

LEFT, RIGHT, GOAL, FASTEST, FORCE, GRAVITY = -1.2, 0.6, 0.5, 0.07, 0.001, 0.0025


class MountainCarState(NamedTuple):
    """Steps, int32 `(N,)`; position and velocity, `(N, 2)`."""

    steps: Array
    physics: Array


@dataclass(frozen=True)
class MountainCar(TensorEnv):
    """Gymnasium's `MountainCar-v0`. Observations are float32 `(N, 2)`: position and velocity. Actions are 0 (push
    left), 1 (none) or 2 (right).

    The equations are those of Moore (1990).

    Args:
        max_episode_steps: after which an episode is truncated.
        goal_velocity: least velocity at the goal.
    """

    draws: ClassVar[int] = 1

    max_episode_steps: int = 200
    goal_velocity: float = 0.0

    @property
    def observation_space(self) -> spaces.Box:
        return spaces.Box(np.array([LEFT, -FASTEST], np.float32), np.array([RIGHT, FASTEST], np.float32))

    @property
    def action_space(self) -> spaces.Discrete:
        return spaces.Discrete(3)

    def initial(self, uniforms: Array) -> MountainCarState:
        xp = namespace(uniforms)
        steps = xp.zeros_like(uniforms[:, 0], dtype=xp.int32)
        position = uniforms[:, 0] * 0.2 - 0.6
        return MountainCarState(steps, xp.stack((position, xp.zeros_like(position)), 1))

    def observe(self, state: MountainCarState) -> Array:
        return as_type(state.physics, namespace(state.physics).float32)

    def move(self, state: MountainCarState, actions: Array, uniforms: Array) -> Moved:
        xp = namespace(state.physics)
        position, velocity = state.physics.T
        velocity = velocity + (FORCE * as_type(actions - 1, position.dtype) - GRAVITY * xp.cos(3 * position))
        velocity = velocity.clip(-FASTEST, FASTEST)
        position = (position + velocity).clip(LEFT, RIGHT)
        velocity = xp.where(position <= LEFT, velocity.clip(min=0), velocity)
        terminated = (position >= GOAL) & (velocity >= self.goal_velocity)
        rewards = xp.full_like(position, -1, dtype=xp.float32)
        return Moved(MountainCarState(state.steps, xp.stack((position, velocity), 1)), rewards, terminated)
