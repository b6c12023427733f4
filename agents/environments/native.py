"""Environments that step all copies at once, in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from agents.environments.closing import close
from agents.environments.resumable import BOUNDARY, EPISODE
from agents.environments.vector import Environments, Steps
from agents.spaces.observations import each
from lab.system.randomness import derived_seed


class NativeEnvs(Environments):
    """A vector environment of Gymnasium's kind.

    Args:
        name: for messages.
        env: resets a copy in the step that ends its episode (`AutoresetMode.SAME_STEP`) and gives the last observations
            as `infos["final_obs"]`; has `state_dict()` and `load_state_dict(state)`.
        seed: of the run.
    """

    def __init__(self, name: str, env: VectorEnv[Any, Any, Any], *, seed: int) -> None:
        assert env.metadata.get("autoreset_mode") is AutoresetMode.SAME_STEP
        self.env: Any = env
        self.seed_of_run, self.appointed = seed, [EPISODE]
        super().__init__(name, env.num_envs, env.single_observation_space, env.single_action_space)

    def _step(self, actions: np.ndarray[Any, Any]) -> Steps:
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        return Steps(observations, rewards, terminated, truncated, infos.get("final_obs"))

    def _reset(self) -> Any:
        again = [int(self.episodes.sum())] if self.appointed == [EPISODE] and self.episodes.any() else []
        observations, _ = self.env.reset(seed=derived_seed(self.seed_of_run, *self.appointed, *again))
        return each(np.copy, observations)  # DQN writes into them, and some environments do too

    def begin(self, seeds: Sequence[int]) -> Any:
        """Begin the episode of its own seed in each copy; return observations `(N, *shape)`. Only a vector environment
        that takes a list of seeds can."""
        observations, _ = self.env.reset(seed=list(seeds))
        self.rewards[:], self.lengths[:] = 0.0, 0
        self.episodes += 1
        self._require_finite_observations(observations)
        return each(np.copy, observations)

    def _state(self) -> Any:
        return self.env.state_dict()

    def _restore(self, state: Any) -> list[Any]:
        self._reset()
        self.env.load_state_dict(state)
        return [None] * self.num_envs

    def begin_at(self, env_steps: int) -> None:
        self.appointed = [BOUNDARY, env_steps]

    def close(self) -> None:
        close(self.env)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [getattr(self.env, attr_name, None)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        raise NotImplementedError("the copies of a native vector environment have no attributes of their own")

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        raise NotImplementedError("the copies of a native vector environment have no methods of their own")

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Any = None) -> list[bool]:
        return [False] * len(list(self._get_indices(indices)))
