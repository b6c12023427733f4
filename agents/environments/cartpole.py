"""Versions of CartPole that show less of the state, registered with Gymnasium when this module is imported.

| id                       | one copy         | many copies            | observation                                 |
|--------------------------|------------------|------------------------|---------------------------------------------|
| `CartPole-v1`            | Gymnasium's      | `CartPoleVector`       | position, velocity, angle, angular velocity |
| `CartPoleNoVel-v1` here  | `CartPoleNoVel`  | `CartPoleNoVelVector`  | the same with both velocities set to 0      |
| `CartPoleMasked-v1` here | `CartPoleMasked` | `CartPoleMaskedVector` | position, angle                             |
| `CartPolePixels-v1` here | `CartPolePixels` | `CartPolePixelsVector` | the last four pictures                      |

`gym.make(id)` gives one copy and `gym.make_vec(id, n, vectorization_mode="vector_entry_point")` many. For
`CartPole-v1` these are Gymnasium's own, whose vector version resets one step later than our `CartPoleVector(n)`.

`CartPoleNoVel-v1` is the environment of the same name in rl-baselines3-zoo (`rl_zoo3.wrappers.MaskVelocityWrapper`).
Tasks without velocities: Ni, Eysenbach and Salakhutdinov (2022, arXiv:2110.05038). Four stacked pictures: Mnih et al.
(2015, doi:10.1038/nature14236).
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.spaces import Box
from numpy.typing import NDArray

from agents.environments.cartpole_vectors import FRAMES, POSITIONS, pictures, without_velocities
from agents.environments.rasterizer import draw

Array = NDArray[Any]


class CartPoleNoVel(CartPoleEnv):
    """CartPole-v1 with velocities set to 0, float32 (4,)."""

    def __init__(self, sutton_barto_reward: bool = False, render_mode: str | None = None) -> None:
        super().__init__(sutton_barto_reward, render_mode)
        self.observation_space = self._space(self.observation_space)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        _, info = super().reset(seed=seed, options=options)
        return self._observe(first=True), info

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        _, reward, terminated, truncated, info = super().step(action)  # type: ignore[no-untyped-call]
        return self._observe(first=False), reward, terminated, truncated, info

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later steps depend on, except the random generator: `resumable` saves that."""
        assert self.state is not None
        return {"state": self.state.copy(), "steps_beyond_terminated": self.steps_beyond_terminated}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.state, self.steps_beyond_terminated = state["state"].copy(), state["steps_beyond_terminated"]

    def _space(self, full: Any) -> Box:
        """Return the observation space; `full` is that of CartPole-v1."""
        return full  # type: ignore[no-any-return]

    def _observe(self, *, first: bool) -> Array:
        """Return what is seen of the state; `first` where an episode begins."""
        assert self.state is not None
        seen = np.zeros(4, np.float32)
        seen[POSITIONS] = self.state[POSITIONS]
        return seen


class CartPoleMasked(CartPoleNoVel):
    """CartPole-v1 without velocities: position and angle, float32 (2,)."""

    def _space(self, full: Any) -> Box:
        return without_velocities(full)

    def _observe(self, *, first: bool) -> Array:
        assert self.state is not None
        return self.state[POSITIONS].astype(np.float32)


class CartPolePixels(CartPoleNoVel):
    """CartPole-v1 as its last four pictures, the newest last: uint8 (4, 64, 64); see `rasterizer`. `render` gives
    Gymnasium's picture, in colour."""

    frames: Array

    def _space(self, full: Any) -> Box:
        return pictures()

    def _observe(self, *, first: bool) -> Array:
        assert self.state is not None
        newest = draw(self.state[:1], self.state[2:3])
        self.frames = np.repeat(newest, FRAMES, 0) if first else np.concatenate([self.frames[1:], newest])
        return self.frames

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"frames": self.frames.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.frames = state["frames"].copy()


for _name in ("CartPoleNoVel", "CartPoleMasked", "CartPolePixels"):
    if f"{_name}-v1" not in gym.registry:  # Gymnasium warns when a module that is loaded again registers an id twice
        gym.register(
            f"{_name}-v1",
            entry_point=f"agents.environments.cartpole:{_name}",
            vector_entry_point=f"agents.environments.cartpole_vectors:{_name}Vector",
            max_episode_steps=500,
            reward_threshold=475.0,
        )
