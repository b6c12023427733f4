"""Many copies of CartPole that are stepped together, in arrays; see `cartpole` for the versions and their ids.

Physics: Barto, Sutton and Anderson (1983), as in Gymnasium's `CartPole-v1`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.envs.classic_control.utils import maybe_parse_reset_bounds
from gymnasium.spaces import Box
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from agents.environments.rasterizer import SIZE, draw

Array = NDArray[Any]

FRAMES = 4
"""Pictures in an observation from pixels."""

POSITIONS = slice(0, None, 2)
"""Of the state (position, velocity, angle, angular velocity), what is not a velocity."""


class CartPoleVector(CartPoleVectorEnv):
    """`num_envs` copies of CartPole-v1; observations are float32 (N, 4). A finished copy is reset in the same step.

    `step` returns observations (after the reset for copies that finished), rewards float32 (N,), terminated and
    truncated, bool (N,), and infos. Where some copies finished, `infos["final_obs"]` has the shape of the observations;
    its rows are the last observations of those episodes where `infos["_final_obs"]`, bool (N,), is true. The caller may
    keep and change all returned arrays.

    Args:
        num_envs: number of copies, N.
        max_episode_steps: after which an episode is truncated.
        render_mode: None or "rgb_array".
        sutton_barto_reward: reward -1 when the pole falls and 0 otherwise, instead of 1 in every step.

    Raises IndexError for an action above 1 or not an integer, and Gymnasium's ResetNeeded before the first reset.
    """

    metadata = CartPoleVectorEnv.metadata | {"autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int = 500,
        render_mode: str | None = None,
        sutton_barto_reward: bool = False,
    ) -> None:
        super().__init__(num_envs, max_episode_steps, render_mode, sutton_barto_reward)
        self.single_observation_space = self._space(self.single_observation_space)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.forces = np.array([-self.force_mag, self.force_mag])

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin new episodes in all copies.

        Args:
            seed: of the generator that all copies share. Or one for each copy: its first episode is the one that a
                `CartPole-v1` of its own begins with that seed. Later ones come from a generator that follows from them.
            options: may hold the bounds `low` and `high` of the first states.
        """
        self.low, self.high = maybe_parse_reset_bounds(options, -0.05, 0.05)
        if seed is None or isinstance(seed, int):
            super(CartPoleVectorEnv, self).reset(seed=seed)
            state = self.np_random.uniform(self.low, self.high, (4, self.num_envs))
        else:
            super(CartPoleVectorEnv, self).reset(seed=int(np.random.SeedSequence(seed).generate_state(1)[0]))
            each = [np_random(one)[0].uniform(self.low, self.high, 4) for one in seed]
            state = np.stack(each, axis=1)
            if state.shape[1] != self.num_envs:
                raise ValueError(f"reset needs a seed for each of {self.num_envs} copies, received {len(each)}")
        self.state: Array | None = state  # type: ignore[assignment]
        self.steps = np.zeros(self.num_envs, np.int32)
        observations = self._blank()
        self._begin(observations, np.ones(self.num_envs, np.bool_))
        return observations, {}

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        state = self._move(self.forces[actions])
        self.steps += 1
        terminated = (np.abs(state[0]) > self.x_threshold) | (np.abs(state[2]) > self.theta_threshold_radians)
        truncated = self.steps >= self.max_episode_steps
        rewards = -terminated.astype(np.float32) if self._sutton_barto_reward else np.ones(self.num_envs, np.float32)
        observations = self._observe()
        infos: dict[str, Any] = {}
        done = terminated | truncated
        if finished := np.count_nonzero(done):
            infos = {"final_obs": np.zeros_like(observations), "_final_obs": done}
            infos["final_obs"][done] = observations[done]
            state[:, done] = self.np_random.uniform(self.low, self.high, (4, finished))
            self.steps[done] = 0
            self._begin(observations, done)
        return observations, rewards, terminated, truncated, infos

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later steps depend on, as plain values."""
        return {
            "state": self._state().copy(),
            "steps": self.steps.copy(),
            "bounds": (float(self.low), float(self.high)),
            "random": self.np_random.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned. No reset is needed first."""
        self.state, self.steps = state["state"].copy(), state["steps"].copy()
        self.low, self.high = state["bounds"]
        self.np_random.bit_generator.state = state["random"]

    def _state(self) -> Array:
        """(4, N) float64."""
        if self.state is None:
            raise gym.error.ResetNeeded(f"{type(self).__name__} was not reset")
        return self.state

    def _move(self, force: Array) -> Array:
        """Push each cart with `force` (N,), in newtons, for one time step. Change the state in place and return it.

        The equations are Florian's (2007), without friction, integrated by Euler's method. They are computed in
        Gymnasium's order, so that each copy has the bits of a `CartPole-v1` of its own.
        """
        state = self._state()
        _, speed, angle, spin = state
        sin, cos = np.sin(angle), np.cos(angle)
        push = (force + self.polemass_length * np.square(spin) * sin) / self.total_mass
        inertia = self.length * (4 / 3 - self.masspole * np.square(cos) / self.total_mass)
        turn = (self.gravity * sin - cos * push) / inertia
        state[0::2] += self.tau * state[1::2]
        speed += self.tau * (push - self.polemass_length * turn * cos / self.total_mass)
        spin += self.tau * turn
        return state

    def _space(self, full: Any) -> Box:
        """Return the observation space of one copy; `full` is that of CartPole-v1."""
        return full  # type: ignore[no-any-return]

    def _blank(self) -> Array:
        """Return an array for observations, not filled in yet."""
        return np.empty(self.observation_space.shape or (), self.observation_space.dtype)

    def _observe(self) -> Array:
        """Return what all copies see after a step."""
        return np.array(self._seen(self._state()).T, np.float32, order="C")

    def _begin(self, observations: Array, which: Array) -> None:
        """Write the first observations of the episodes that begin in the copies `which`, bool (N,)."""
        observations[which] = self._seen(self._state()[:, which]).T

    def _seen(self, state: Array) -> Array:
        """Return the part of the state (4, M) that is observed, (F, M)."""
        return state


class CartPoleMaskedVector(CartPoleVector):
    """CartPole-v1 without velocities: position and angle, float32 (N, 2)."""

    def _space(self, full: Any) -> Box:
        return without_velocities(full)

    def _seen(self, state: Array) -> Array:
        return state[POSITIONS]


class CartPoleNoVelVector(CartPoleVector):
    """CartPole-v1 with velocities set to 0, float32 (N, 4)."""

    def _seen(self, state: Array) -> Array:
        seen = np.zeros_like(state)
        seen[POSITIONS] = state[POSITIONS]
        return seen


class CartPolePixelsVector(CartPoleVector):
    """CartPole-v1 as its last four pictures, the newest last: uint8 (N, 4, 64, 64); see `rasterizer`.

    An episode begins with four copies of its first picture. Two arrays take turns: observations stay valid during the
    next step and are overwritten in the step after it.
    """

    frames: Array
    spare: Array

    def _space(self, full: Any) -> Box:
        return pictures()

    def _blank(self) -> Array:
        self.frames, self.spare = super()._blank(), super()._blank()
        return self.frames

    def _observe(self) -> Array:
        self.frames, self.spare = self.spare, self.frames
        self.frames[:, :-1] = self.spare[:, 1:]
        position, _, angle, _ = self._state()
        draw(position, angle, out=self.frames[:, -1])
        return self.frames

    def _begin(self, observations: Array, which: Array) -> None:
        position, angle = self._state()[POSITIONS, which]
        observations[which] = draw(position, angle)[:, None]

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"frames": self.frames.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._blank()[:] = state["frames"]


def pictures() -> Box:
    """Return the space of the last four pictures."""
    return Box(0, 255, (FRAMES, SIZE, SIZE), np.uint8)


def without_velocities(space: Any) -> Box:
    """Return CartPole-v1's observation space without the velocities."""
    return Box(space.low[POSITIONS], space.high[POSITIONS], dtype=np.float32)
