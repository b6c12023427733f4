"""Acrobot: two links hang from a joint, and the lower one is to be swung above a line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from gymnasium import spaces

from agents.environments.tensors.base import Array, Moved, TensorEnv, as_type, namespace

MASS, LENGTH, CENTRE, INERTIA, GRAVITY, TAU = 1.0, 1.0, 0.5, 1.0, 9.8, 0.2
"""Of each link, in kg, m, m from its joint, and kg m^2; then m/s^2 and s."""
FASTEST = (4 * math.pi, 9 * math.pi)
"""Angular velocities, in rad/s, beyond which those of the two links are cut off."""


class AcrobotState(NamedTuple):
    """Steps, int32 `(N,)`; the angle of the first link from hanging down, that of the second from the first, and their
    angular velocities, `(N, 4)`."""

    steps: Array
    physics: Array


@dataclass(frozen=True)
class Acrobot(TensorEnv):
    """Gymnasium's `Acrobot-v1`. Observations are float32 `(N, 6)`: cosine and sine of each angle, and both angular
    velocities. Actions are 0, 1 or 2: a torque of -1, 0 or 1 N m on the joint between the links.

    The equations are those of Sutton and Barto (1998, section 11.3), integrated by one step of the
    Runge-Kutta method of fourth order.

    Args:
        max_episode_steps: after which an episode is truncated.
    """

    draws: ClassVar[int] = 4

    max_episode_steps: int = 500

    @property
    def observation_space(self) -> spaces.Box:
        high = np.array([1, 1, 1, 1, *FASTEST], np.float32)
        return spaces.Box(-high, high, dtype=np.float32)

    @property
    def action_space(self) -> spaces.Discrete:
        return spaces.Discrete(3)

    def initial(self, uniforms: Array) -> AcrobotState:
        xp = namespace(uniforms)
        steps = xp.zeros_like(uniforms[:, 0], dtype=xp.int32)
        return AcrobotState(steps, uniforms * 0.2 - 0.1)

    def observe(self, state: AcrobotState) -> Array:
        xp = namespace(state.physics)
        first, second, *speeds = state.physics.T
        seen = xp.stack((xp.cos(first), xp.sin(first), xp.cos(second), xp.sin(second), *speeds), 1)
        return as_type(seen, xp.float32)

    def move(self, state: AcrobotState, actions: Array, uniforms: Array) -> Moved:
        xp, y = namespace(state.physics), state.physics
        torque = as_type(actions - 1, y.dtype)
        k1 = _change(y, torque)
        k2 = _change(y + TAU / 2 * k1, torque)
        k3 = _change(y + TAU / 2 * k2, torque)
        k4 = _change(y + TAU * k3, torque)
        y = y + TAU / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        angles = y[:, :2]
        angles = angles - 2 * math.pi * (angles / (2 * math.pi)).round()  # in [-pi, pi]
        first, second = angles.T
        speeds = (y[:, 2].clip(-FASTEST[0], FASTEST[0]), y[:, 3].clip(-FASTEST[1], FASTEST[1]))
        terminated = -xp.cos(first) - xp.cos(first + second) > 1
        physics = xp.stack((first, second, *speeds), 1)
        return Moved(AcrobotState(state.steps, physics), as_type(terminated, xp.float32) - 1, terminated)


def _change(physics: Array, torque: Array) -> Array:
    """Return the derivative of `physics` by time, `(N, 4)`."""
    xp = namespace(physics)
    first, second, speed, spin = physics.T
    sin, cos = xp.sin(second), xp.cos(second)
    lever = MASS * LENGTH * CENTRE
    d1 = MASS * (2 * CENTRE**2 + LENGTH**2) + 2 * INERTIA + 2 * lever * cos
    d2 = MASS * CENTRE**2 + INERTIA + lever * cos
    phi2 = MASS * CENTRE * GRAVITY * xp.sin(first + second)
    phi1 = MASS * (CENTRE + LENGTH) * GRAVITY * xp.sin(first) + phi2 - lever * sin * spin * (spin + 2 * speed)
    turn = (torque + d2 / d1 * phi1 - lever * speed * speed * sin - phi2) / (MASS * CENTRE**2 + INERTIA - d2 * d2 / d1)
    return xp.stack((speed, spin, -(d2 * turn + phi1) / d1, turn), 1)
