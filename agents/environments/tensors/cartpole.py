"""CartPole: a pole on a cart is to be kept upright."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from agents.environments.tensors.base import Moved, TensorEnv

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, TAU = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
"""In m/s^2, kg, kg, m, N and s."""
FARTHEST, STEEPEST = 2.4, 12 * 2 * math.pi / 360
"""Position and angle beyond which an episode ends."""


class CartPoleState(NamedTuple):
    """Steps, int32 `(N,)`; position, velocity, angle from upright and angular velocity, `(N, 4)`."""

    steps: Tensor
    physics: Tensor


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

    def initial(self, uniforms: Tensor) -> CartPoleState:
        steps = torch.zeros(len(uniforms), dtype=torch.int32, device=uniforms.device)
        return CartPoleState(steps, uniforms * 0.1 - 0.05)

    def observe(self, state: CartPoleState) -> Tensor:
        return state.physics.float()

    def move(self, state: CartPoleState, actions: Tensor, uniforms: Tensor) -> Moved:
        x, speed, angle, spin = state.physics.unbind(1)  # (N,) each
        sin, cos = angle.sin(), angle.cos()
        total, pole = CART + POLE, POLE * HALF_LENGTH
        push = (actions * (2 * FORCE) - FORCE + pole * spin * spin * sin) / total
        turn = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4 / 3 - POLE / total * cos * cos))
        slide = push - pole / total * turn * cos
        physics = torch.stack((x + TAU * speed, speed + TAU * slide, angle + TAU * spin, spin + TAU * turn), 1)
        terminated = (physics[:, 0].abs() > FARTHEST) | (physics[:, 2].abs() > STEEPEST)
        fallen = terminated.float()
        rewards = -fallen if self.sutton_barto_reward else torch.ones_like(fallen)
        return Moved(CartPoleState(state.steps, physics), rewards, terminated)
