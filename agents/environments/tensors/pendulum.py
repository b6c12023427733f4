"""Pendulum: a pendulum is to be swung up and held there, by a torque that is too weak to lift it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from gymnasium import spaces

from agents.environments.tensors.base import Array, Moved, TensorEnv, as_type, namespace

FASTEST, STRONGEST, TAU, MASS, LENGTH = 8.0, 2.0, 0.05, 1.0, 1.0
"""In rad/s, N m, s, kg and m."""


class PendulumState(NamedTuple):
    """Steps, int32 `(N,)`; the angle from upright, which counts whole turns too, and the angular velocity, `(N, 2)`."""

    steps: Array
    physics: Array


@dataclass(frozen=True)
class Pendulum(TensorEnv):
    """Gymnasium's `Pendulum-v1`. Observations are float32 `(N, 3)`: cosine and sine of the angle, and the angular
    velocity. Actions are torques in N m, float32 `(N, 1)`, cut off at -2 and 2. Only the time limit ends an episode.

    Args:
        max_episode_steps: after which an episode is truncated.
        g: gravity, in m/s^2.
    """

    draws: ClassVar[int] = 2

    max_episode_steps: int = 200
    g: float = 10.0

    @property
    def observation_space(self) -> spaces.Box:
        high = np.array([1, 1, FASTEST], np.float32)
        return spaces.Box(-high, high, dtype=np.float32)

    @property
    def action_space(self) -> spaces.Box:
        return spaces.Box(-STRONGEST, STRONGEST, (1,), np.float32)

    def initial(self, uniforms: Array) -> PendulumState:
        xp = namespace(uniforms)
        steps = xp.zeros_like(uniforms[:, 0], dtype=xp.int32)
        angle, spin = (2 * uniforms - 1).T
        return PendulumState(steps, xp.stack((math.pi * angle, spin), 1))

    def observe(self, state: PendulumState) -> Array:
        xp = namespace(state.physics)
        angle, spin = state.physics.T
        return as_type(xp.stack((xp.cos(angle), xp.sin(angle), spin), 1), xp.float32)

    def move(self, state: PendulumState, actions: Array, uniforms: Array) -> Moved:
        xp = namespace(state.physics)
        angle, spin = state.physics.T
        torque = as_type(actions[:, 0], angle.dtype).clip(-STRONGEST, STRONGEST)
        away = (angle + math.pi) % (2 * math.pi) - math.pi  # in [-pi, pi)
        costs = away * away + 0.1 * spin * spin + 0.001 * torque * torque
        pull = 3 * self.g / (2 * LENGTH) * xp.sin(angle) + 3 / (MASS * LENGTH**2) * torque
        spin = (spin + TAU * pull).clip(-FASTEST, FASTEST)
        physics = xp.stack((angle + TAU * spin, spin), 1)
        never = xp.zeros_like(costs, dtype=xp.bool)
        return Moved(PendulumState(state.steps, physics), as_type(-costs, xp.float32), never)
