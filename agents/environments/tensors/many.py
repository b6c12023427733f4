"""Many copies of an environment of tensors, as Gymnasium's vector environments are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from agents.environments.tensors.base import Array, State, TensorEnv


class TensorVector(VectorEnv[Array, Array, Array]):
    """`num_envs` copies of an environment. A finished copy is reset in the same step.

    `step` takes and returns NumPy arrays: observations (after the reset for copies that finished), rewards float32
    `(N,)`, terminated and truncated, bool `(N,)`, and infos. Where some copies finished, `infos["final_obs"]` has the
    last observations of those episodes in the rows where `infos["_final_obs"]` is true. A program that steps the copies
    itself takes `state`, and random numbers from `uniforms`, and leaves the new state behind.

    Args:
        env: what is stepped.
        num_envs: number of copies, N.
        device: where the state is, in tensors; None for NumPy arrays, which are faster on a CPU.

    Raises Gymnasium's ResetNeeded before the first reset.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}
    state: State | None = None
    random: torch.Generator | list[np.random.Generator]
    """One generator that all copies share, or one for each."""

    def __init__(self, env: TensorEnv, num_envs: int = 1, *, device: torch.device | str | None = None) -> None:
        self.core, self.num_envs, self.device = env, num_envs, device
        self.single_observation_space, self.single_action_space = env.observation_space, env.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seed(None)

    def uniforms(self, *steps: int) -> Array:
        """Return random numbers for a step, `(N, draws)`, or for many, `(*steps, N, draws)`. On a CPU, those for many
        steps are the same as those for each step in turn."""
        if isinstance(self.random, torch.Generator):
            shape = (*steps, self.num_envs, self.core.draws)
            return torch.rand(shape, generator=self.random, device=self.device)
        rows = self.num_envs // len(self.random)
        drawn = [one.random((*steps, rows, self.core.draws), dtype=np.float32) for one in self.random]
        return drawn[0] if len(drawn) == 1 else np.concatenate(drawn, -2)

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin new episodes in all copies.

        Args:
            seed: of the generator that all copies share. Or, with NumPy arrays, one for each copy: its episodes are
                those of a `OneCopy` that is reset with that seed and, after that, without one.
            options: not used.
        """
        if seed is not None:
            self._seed(seed)
        self.state = self.core.initial(self.uniforms())
        return _numpy(self.core.observe(self.state)), {}

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        if self.device is not None:
            actions = torch.as_tensor(actions, device=self.device)
        state, *parts = self.core.step(self._reached(), actions, self.uniforms())
        self.state = state
        observations, rewards, terminated, truncated, last = map(_numpy, parts)
        done = terminated | truncated
        return (
            observations,
            rewards,
            terminated,
            truncated,
            {"final_obs": last, "_final_obs": done} if done.any() else {},
        )

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later steps depend on, as plain values."""
        parts = {name: _numpy(part).copy() for name, part in self._reached()._asdict().items()}
        if isinstance(self.random, torch.Generator):
            return {"state": parts, "random": self.random.get_state().numpy().copy()}
        return {"state": parts, "random": [one.bit_generator.state for one in self.random]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned. No reset is needed first."""
        like = self.core.initial(self.uniforms())
        self.state = like._replace(**{name: self._array(part) for name, part in state["state"].items()})
        if isinstance(self.random, torch.Generator):
            self.random.set_state(torch.tensor(state["random"]))
        else:
            self.random = [np_random(0)[0] for _ in state["random"]]
            for one, place in zip(self.random, state["random"], strict=True):
                one.bit_generator.state = place

    def _seed(self, seed: int | Sequence[int] | None) -> None:
        if seed is None or isinstance(seed, int):
            if self.device is None:
                self.random = [np_random(seed)[0]]
            else:
                self.random = generator = torch.Generator(self.device)
                generator.seed() if seed is None else generator.manual_seed(seed)
        elif self.device is not None or len(seed) != self.num_envs:
            raise ValueError(
                f"reset needs one seed, or one for each of {self.num_envs} copies in NumPy arrays, received {len(seed)}"
            )
        else:
            self.random = [np_random(one)[0] for one in seed]

    def _reached(self) -> State:
        if self.state is None:
            raise gym.error.ResetNeeded(f"{type(self.core).__name__} was not reset")
        return self.state

    def _array(self, part: np.ndarray[Any, Any]) -> Array:
        """Return a copy of an array where the state is."""
        return part.copy() if self.device is None else torch.tensor(part, device=self.device)


def _numpy(array: Array) -> np.ndarray[Any, Any]:
    return array.cpu().numpy() if isinstance(array, torch.Tensor) else array
