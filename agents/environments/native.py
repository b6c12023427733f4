"""Environments that step all copies at once, in arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from agents.environments.cartpole_vectors import CartPoleVector
from agents.environments.closing import close
from agents.environments.known import present_id
from agents.environments.resumable import BOUNDARY, EPISODE
from agents.environments.tensors.catalog import tensor_env
from agents.environments.tensors.many import TensorVector
from agents.environments.vector import Environments, Steps
from agents.spaces.observations import each
from lab.system.randomness import derived_seed

SAME_STEP = {"gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv": CartPoleVector}
"""Vector environments of Gymnasium, which need an extra step for each reset, and ours that replace them."""

MakeVector = Callable[..., VectorEnv[Any, Any, Any]]
"""Makes a vector environment of so many copies, that of `tensor_maker` on a given `device`."""


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


class TensorEnvs(NativeEnvs):
    """Environments as functions of tensors, on the agent's device: a program steps them together with the policy."""

    env: TensorVector

    def follow(self, steps: Steps, *, checked: bool) -> None:
        """Count a step that a program has taken, `checked` where all of its numbers are known to be finite."""
        self.steps += 1
        if not checked:
            self._check(steps)
        self._count(steps)


def native_maker(id: str, spec: EnvSpec | None, kwargs: Mapping[str, Any], *, registered: bool) -> MakeVector | None:
    """Return what makes the vector environment of an id: the one that is registered, or else, unless `registered`, the
    lab's own in tensors. None where there is none, or none that can be resumed and resets in the same step."""
    if spec is None or spec.additional_wrappers:
        return None
    if spec.vector_entry_point is not None and not kwargs and (found := _registered_maker(id, spec)):
        return found
    return None if registered else tensor_maker(spec, kwargs)


def tensor_maker(spec: EnvSpec | None, kwargs: Mapping[str, Any]) -> MakeVector | None:
    """Return what makes the lab's own vector environment, which is a function of arrays or tensors; None where there is
    none."""
    env = tensor_env(spec, kwargs)
    return None if env is None else partial(TensorVector, env)


def _registered_maker(id: str, spec: EnvSpec) -> MakeVector | None:
    if own := SAME_STEP.get(str(spec.vector_entry_point)):
        if spec.max_episode_steps is None or not spec.kwargs.keys() <= inspect.signature(own).parameters.keys():
            return None
        return partial(own, max_episode_steps=spec.max_episode_steps, **spec.kwargs)
    envs = gym.make_vec(present_id(id), 1, vectorization_mode="vector_entry_point")
    fits = envs.metadata.get("autoreset_mode") is AutoresetMode.SAME_STEP and hasattr(envs.unwrapped, "state_dict")
    close(envs)
    if not fits:
        return None
    return lambda count: gym.make_vec(present_id(id), count, vectorization_mode="vector_entry_point").unwrapped
