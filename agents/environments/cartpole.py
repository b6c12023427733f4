"""CartPole for vectors of copies that reset in the step in which they finish, and two versions that see less of it.

| id                                  | one copy         | many copies            | observation                       |
|-------------------------------------|------------------|------------------------|-----------------------------------|
| `CartPole-v1`                       | Gymnasium's      | `CartPoleVector`       | position, angle, their velocities |
| `CartPoleMasked-v1` here            | `CartPoleMasked` | `CartPoleMaskedVector` | position, angle                   |
| `CartPolePixels-v1` here            | `CartPolePixels` | `CartPolePixelsVector` | the last four pictures            |

`gym.make(id)` gives one copy, `gym.make_vec(id, n, vectorization_mode="vector_entry_point")` many; for `CartPole-v1`
they are Gymnasium's own, which reset a step later, and ours `CartPoleVector(n)`. Physics: Barto, Sutton and Anderson
(1983), as in Gymnasium's `CartPole-v1`. What is not seen: the velocities, as in the partially observed tasks of Ni,
Eysenbach and Salakhutdinov (2022, arXiv:2110.05038); or all but pictures, stacked by four as in Mnih et al. (2015,
doi:10.1038/nature14236).
"""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv, CartPoleVectorEnv
from gymnasium.envs.classic_control.utils import maybe_parse_reset_bounds
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from agents.environments.rasterizer import SIZE, draw

Array = NDArray[Any]

FRAMES = 4
ALL, POSITIONS = slice(None), slice(0, None, 2)
"""Which of (position, velocity, angle, angular velocity) are seen."""


def _pictures() -> Box:
    return Box(0, 255, (FRAMES, SIZE, SIZE), np.uint8)


def _of(space: Any, columns: slice) -> Box:
    return Box(space.low[columns], space.high[columns], dtype=np.float32)


class CartPoleVector(CartPoleVectorEnv):
    """`num_envs` copies of CartPole-v1, float32 (N, 4). A finished one is reset in the same step.

    `step` returns observations (those of finished copies after their reset), rewards float32 (N,), terminated and
    truncated, bool (N,), and infos: empty, or where some copies finished `final_obs`, shaped as the observations, whose
    rows are the last of their episodes where `_final_obs`, bool (N,), is set. All of these are the caller's own.

    Args:
        num_envs: number of copies, N.
        max_episode_steps: after which an episode is truncated.
        render_mode: None or "rgb_array".
        sutton_barto_reward: -1 where the pole falls and else 0, for 1 in every step.

    Raises IndexError where an action is above 1 or not an integer, gymnasium's ResetNeeded before the first reset.
    """

    metadata = CartPoleVectorEnv.metadata | {"autoreset_mode": AutoresetMode.SAME_STEP}
    columns: ClassVar[slice] = ALL

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

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Begin new episodes in all copies; `seed` seeds the one generator that they share. `options` may hold the
        bounds `low` and `high` of the first states."""
        super(CartPoleVectorEnv, self).reset(seed=seed)
        self.low, self.high = maybe_parse_reset_bounds(options, -0.05, 0.05)
        self.state: Array | None = self.np_random.uniform(self.low, self.high, (4, self.num_envs))  # type: ignore[assignment]
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
        """Return all that the future depends on, as plain values."""
        return {
            "state": self._state().copy(),
            "steps": self.steps.copy(),
            "bounds": (float(self.low), float(self.high)),
            "random": self.np_random.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned; no reset is needed before."""
        self.state, self.steps = state["state"].copy(), state["steps"].copy()
        self.low, self.high = state["bounds"]
        self.np_random.bit_generator.state = state["random"]

    def _state(self) -> Array:
        """(4, N) float64."""
        if self.state is None:
            raise gym.error.ResetNeeded(f"{type(self).__name__} was not reset")
        return self.state

    def _move(self, force: Array) -> Array:
        """Push each cart for one interval with `force` (N,), in newtons; return the state, changed in place. The
        equations are Florian's (2007), without friction, integrated by Euler's method."""
        state = self._state()
        _, speed, angle, spin = state
        sin, cos = np.sin(angle), np.cos(angle)
        push = (force + self.polemass_length * (spin * spin) * sin) / self.total_mass
        inertia = self.length * (4 / 3 - self.masspole / self.total_mass * (cos * cos))
        turn = (self.gravity * sin - cos * push) / inertia
        state[0::2] += self.tau * state[1::2]
        speed += self.tau * (push - self.polemass_length / self.total_mass * turn * cos)
        spin += self.tau * turn
        return state

    def _space(self, full: Any) -> Box:
        """One copy's observations, where those of the whole state are `full`."""
        return _of(full, self.columns)

    def _blank(self) -> Array:
        """Observations of which nothing is valid yet."""
        return np.empty(self.observation_space.shape or (), self.observation_space.dtype)

    def _observe(self) -> Array:
        """What all copies see after a step."""
        return np.array(self._state()[self.columns].T, np.float32, order="C")

    def _begin(self, observations: Array, which: Array) -> None:
        """Write into `observations` the first of the episodes that begin in the copies `which`."""
        observations[which] = self._state()[self.columns, which].T


class CartPoleMaskedVector(CartPoleVector):
    """CartPole-v1 without velocities: position and angle, float32 (N, 2)."""

    columns = POSITIONS


class CartPolePixelsVector(CartPoleVector):
    """CartPole-v1 by its last four pictures, the newest last: uint8 (N, 4, 64, 64); see `rasterizer`.

    An episode begins with four copies of its first picture. Observations stay as they are during the next step, and are
    written again in the one after it: two arrays take turns.
    """

    frames: Array
    spare: Array

    def _space(self, full: Any) -> Box:
        return _pictures()

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


class CartPoleMasked(CartPoleEnv):
    """CartPole-v1 without velocities: position and angle, float32 (2,)."""

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
        """Return all that the future depends on but the generator, which `agents.environments.resumable` saves."""
        assert self.state is not None
        return {"state": self.state.copy(), "steps_beyond_terminated": self.steps_beyond_terminated}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.state, self.steps_beyond_terminated = state["state"].copy(), state["steps_beyond_terminated"]

    def _space(self, full: Any) -> Box:
        return _of(full, POSITIONS)

    def _observe(self, *, first: bool) -> Array:
        assert self.state is not None
        return self.state[POSITIONS].astype(np.float32)


class CartPolePixels(CartPoleMasked):
    """CartPole-v1 by its last four pictures, the newest last: uint8 (4, 64, 64); see `rasterizer`. `render`
    gives Gymnasium's picture, in colour."""

    frames: Array

    def _space(self, full: Any) -> Box:
        return _pictures()

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


for _name in ("CartPoleMasked", "CartPolePixels"):
    if f"{_name}-v1" not in gym.registry:  # a module that is loaded again would be warned
        gym.register(
            f"{_name}-v1",
            entry_point=f"agents.environments.cartpole:{_name}",
            vector_entry_point=f"agents.environments.cartpole:{_name}Vector",
            max_episode_steps=500,
            reward_threshold=475.0,
        )
