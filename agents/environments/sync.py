"""Environments that are stepped one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from agents.environments.closing import close
from agents.environments.resumable import Resumable
from agents.environments.vector import Environments, Steps
from agents.spaces.observations import arrays, each, put

Env = gym.Env[Any, Any]


class SyncEnvs(Environments):
    """Steps each copy in turn and writes the results into arrays that are reused."""

    def __init__(self, name: str, makers: Sequence[Callable[[], Resumable]]) -> None:
        self.envs = [maker() for maker in makers]
        space, count = self.envs[0].observation_space, len(self.envs)
        super().__init__(name, count, space, self.envs[0].action_space)
        self.observations, self.last = arrays(space, count), arrays(space, count)
        self.reward = np.zeros(count, dtype=np.float32)
        self.terminated, self.truncated = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)

    def _step(self, actions: np.ndarray[Any, Any]) -> Steps:
        any_ended = False
        for i, env in enumerate(self.envs):
            observation, self.reward[i], terminated, truncated, _ = env.step(actions[i])
            self.terminated[i], self.truncated[i] = terminated, truncated
            if terminated or truncated:
                put(self.last, i, observation)
                observation, _ = env.reset()
                any_ended = True
            put(self.observations, i, observation)
        last = self.last if any_ended else None
        return Steps(self.observations, self.reward.copy(), self.terminated.copy(), self.truncated.copy(), last)

    def _reset(self) -> Any:
        for i, env in enumerate(self.envs):
            put(self.observations, i, env.reset()[0])
        return each(np.copy, self.observations)

    def _state(self) -> Any:
        return [env.state() for env in self.envs]

    def _restore(self, state: Any) -> list[Any]:
        return [env.restore(one) for env, one in zip(self.envs, state, strict=True)]

    def begin_at(self, env_steps: int) -> None:
        for env in self.envs:
            env.begin_at(env_steps)

    def close(self) -> None:
        for env in self.envs:
            close(env)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [self.envs[i].get_wrapper_attr(attr_name) for i in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        for i in self._get_indices(indices):
            self.envs[i].set_wrapper_attr(attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        return [self.envs[i].get_wrapper_attr(method_name)(*args, **kwargs) for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Any = None) -> list[bool]:
        return [is_wrapped(self.envs[i], wrapper_class) for i in self._get_indices(indices)]


def is_wrapped(env: Env, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]]) -> bool:
    """Whether one of the wrappers around `env` is of this class."""
    while isinstance(env, gym.Wrapper):
        if isinstance(env, wrapper_class):
            return True
        env = env.env
    return False
