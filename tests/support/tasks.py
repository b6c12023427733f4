"""Small environments whose solutions are known, and agents small enough to learn them in seconds.

`env.id=tests.support.tasks:Recite-v0` finds those that are registered.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.logger import Logger

from agents.core.agent import Agent
from agents.dqn.dqn import DQN
from agents.environments.resumable import Resumable
from agents.environments.sync import SyncEnvs
from agents.environments.vector import Environments
from agents.ppo.ppo import PPO
from lab.encoders import MLP

Env = gym.Env[Any, Any]
Step = tuple[Any, float, bool, bool, dict[str, Any]]
CPU = torch.device("cpu")
A = TypeVar("A", bound=Agent)


class Identity(Env):
    """Shows an action. The reward, from 0 to 1, says how close the agent's action is. An episode has eight steps."""

    def __init__(self, action_space: spaces.Space[Any]) -> None:
        self.action_space = copy.deepcopy(action_space)  # each copy draws from a generator of its own
        self.observation_space = spaces.Box(-1, 1, (spaces.flatdim(action_space),), np.float32)
        self.left = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.action_space.seed(seed)
        self.left = 8
        return self._show(), {}

    def step(self, action: Any) -> Step:
        assert self.action_space.contains(action)
        if isinstance(self.action_space, spaces.Box):
            reward = 1 - np.abs(action - self.wanted).mean() / 2
        else:
            reward = np.mean(np.asarray(action) == self.wanted)
        self.left -= 1
        return self._show(), float(reward), False, self.left == 0, {}

    def _show(self) -> Any:
        self.wanted = self.action_space.sample()
        return np.asarray(spaces.flatten(self.action_space, self.wanted), np.float32)


class Recite(Env):
    """Shows +1 or -1 once, then zeros. Five steps later the action for that sign earns 1 and ends the episode."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at, self.sign = 0, int(self.np_random.integers(2))
        return np.full(1, 2 * self.sign - 1, np.float32), {}

    def step(self, action: Any) -> Step:
        self.at += 1
        over = self.at == 6
        return np.zeros(1, np.float32), float(over and action == self.sign), over, False, {}


class Counter(Env):
    """Shows its step, its episode and a random number. `ends[k]` says when and how episode k ends.

    Args:
        ends: `(length, terminates)` for each episode, over and over.
        observation_space: of vectors; what is shown fills it from the front.
    """

    action_space: spaces.Space[Any] = spaces.Discrete(3)

    def __init__(self, ends: tuple[tuple[int, bool], ...] = ((3, True), (5, False)), size: int = 4) -> None:
        self.observation_space = spaces.Box(-1e6, 1e6, (size,), np.float32)
        self.ends, self.episode = ends, -1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at, self.episode = 0, self.episode + 1
        return self._show(), {}

    def step(self, action: Any) -> Step:
        self.at += 1
        length, terminates = self.ends[self.episode % len(self.ends)]
        over = self.at >= length
        return self._show(), float(self.np_random.normal()), over and terminates, over and not terminates, {}

    def _show(self) -> Any:
        seen = np.zeros(self.observation_space.shape or (), np.float32)
        seen[:3] = self.at, self.episode, self.np_random.normal()
        return seen


def together(make: Callable[[], Env], count: int, seed: int = 0) -> SyncEnvs:
    """Return `count` copies of an environment, which are stepped one after the other."""
    makers = [partial(_resumable, make, seed, number) for number in range(count)]
    return SyncEnvs("task", makers)


def _resumable(make: Callable[[], Env], seed: int, number: int) -> Resumable:
    return Resumable(make(), seed=seed, copy=number, method="replay")


def _quiet(agent: A) -> A:
    agent.set_logger(Logger(None, []))
    return agent


def ppo(env: Environments, seed: int = 0, device: torch.device = CPU, **settings: Any) -> PPO:
    """Return a small PPO that logs nowhere."""
    small: dict[str, Any] = {"encoder": partial(MLP, hidden=[32], activation="tanh"), "learning_rate": 3e-3}
    small |= {"n_steps": 32, "batch_size": 32, "n_epochs": 4}
    return _quiet(PPO(env, seed, device, **small | settings))


def dqn(env: Environments, seed: int = 0, device: torch.device = CPU, **settings: Any) -> DQN:
    """Return a small DQN that logs nowhere."""
    small: dict[str, Any] = {"encoder": partial(MLP, hidden=[32]), "learning_rate": 3e-3, "buffer_size": 2000}
    small |= {"learning_starts": 100, "train_freq": 8, "gradient_steps": 8, "target_update_interval": 100}
    return _quiet(DQN(env, seed, device, **small | settings))


def collect(agent: PPO) -> None:
    """Fill the rollout buffer once, without learning."""
    _, callback = agent._setup_learn(agent.n_steps * agent.n_envs)
    collect_more(agent, callback)


def collect_more(agent: PPO, callback: Any) -> None:
    """Fill the rollout buffer again, from the present state of the environments."""
    env = agent.vec_env
    assert agent.collect_rollouts(env, callback, agent.rollout_buffer, agent.n_steps)


def weights(module: torch.nn.Module) -> torch.Tensor:
    """Return all parameters of a module as one vector."""
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def mean_return(agent: Agent, make: Callable[[], Env], episodes: int = 20) -> float:
    """Play deterministic episodes, with the agent's memory if it has one."""
    total, env = 0.0, make()
    for seed in range(episodes):
        observation, _ = env.reset(seed=10_000 + seed)
        memory, over = None, False
        while not over:
            (action,), memory = agent.act(observation[None], memory)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
    return total / episodes


for task in (Recite, Counter):
    if f"{task.__name__}-v0" not in gym.registry:  # a module that is loaded again would be warned
        gym.register(f"{task.__name__}-v0", task, disable_env_checker=True)  # type: ignore[arg-type]
