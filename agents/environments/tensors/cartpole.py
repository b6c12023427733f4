"""CartPole: a pole on a cart is to be kept upright."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from gymnasium import spaces

from agents.environments.tensors.base import Array, Moved, TensorEnv, as_type, namespace

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, TAU = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
"""In m/s^2, kg, kg, m, N and s."""
FARTHEST, STEEPEST = 2.4, 12 * 2 * math.pi / 360
"""Position and angle beyond which an episode ends."""


class CartPoleState(NamedTuple):
    """Steps, int32 `(N,)`; position, velocity, angle from upright and angular velocity, `(N, 4)`."""

    steps: Array
    physics: Array


@dataclass(frozen=True)
class CartPole(TensorEnv):
    """Gymnasium's `CartPole-v1`. Observations are float32 `(N, 4)`, actions 0 (push left) or 1 (right).

    The equations are those of Florian (2007) without friction, integrated by Euler's method.

    Args:
        max_episode_steps: after which an episode is truncated.
        sutton_barto_reward: reward -1 when the pole falls and 0 otherwise, instead of 1 in every step.
    """

    draws: ClassVar[int] = 4

    max_episode_steps: int = 500
    sutton_barto_reward: bool = False

    @property
    def observation_space(self) -> spaces.Box:
        high = np.array([2 * FARTHEST, np.inf, 2 * STEEPEST, np.inf], np.float32)
        return spaces.Box(-high, high, dtype=np.float32)

    @property
    def action_space(self) -> spaces.Discrete:
        return spaces.Discrete(2)

    def initial(self, uniforms: Array) -> CartPoleState:
        xp = namespace(uniforms)
        steps = xp.zeros_like(uniforms[:, 0], dtype=xp.int32)
        return CartPoleState(steps, uniforms * 0.1 - 0.05)

    def observe(self, state: CartPoleState) -> Array:
        return as_type(state.physics, namespace(state.physics).float32)

    def move(self, state: CartPoleState, actions: Array, uniforms: Array) -> Moved:
        xp = namespace(state.physics)
        x, speed, angle, spin = state.physics.T  # (N,) each
        sin, cos, direction = xp.sin(angle), xp.cos(angle), as_type(2 * actions - 1, angle.dtype)
        total, pole = CART + POLE, POLE * HALF_LENGTH
        push = (FORCE * direction + pole * spin * spin * sin) / total
        turn = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4 / 3 - POLE / total * cos * cos))
        slide = push - pole / total * turn * cos
        physics = xp.stack((x + TAU * speed, speed + TAU * slide, angle + TAU * spin, spin + TAU * turn), 1)
        terminated = (abs(physics[:, 0]) > FARTHEST) | (abs(physics[:, 2]) > STEEPEST)
        fallen = as_type(terminated, xp.float32)
        rewards = -fallen if self.sutton_barto_reward else xp.ones_like(fallen)
        return Moved(CartPoleState(state.steps, physics), rewards, terminated)
