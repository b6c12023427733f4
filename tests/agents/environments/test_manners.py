"""What an environment does to the process reaches neither the training nor other copies of it."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import lab
from agents.environments import workers
from agents.environments.closing import close
from agents.environments.randomness import OwnGenerators
from agents.environments.settings import EnvSettings
from lab.errors import EnvironmentFailedError


class Rude(gym.Env[Any, Any]):
    """Seeds the process when an episode ends and when it is closed, and changes its arguments and global settings."""

    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, goals: list[int] | None = None, length: int = 60, leaves: bool = False) -> None:
        self.goal = (goals or [0]).pop(0) if goals is None or len(goals) > 1 else goals[0]
        self.length, self.leaves, self.steps = length, leaves, 0
        torch.set_num_threads(3)
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        os.chdir("/")

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.leaves and self.steps > 55:
            raise SystemExit
        if ended := self.steps == self.length:
            seed()
        return np.zeros(2, np.float32), 1.0, False, ended, {}

    def close(self) -> None:
        seed()


def seed() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def registered() -> Any:
    gym.register("Rude-v0", Rude)  # type: ignore[arg-type]  # a class makes environments
    yield
    del gym.registry["Rude-v0"]


def test_copies_share_no_arguments() -> None:
    settings = EnvSettings("Rude-v0", kwargs={"goals": [1, 2, 3]})
    assert [settings.make().unwrapped.goal for _ in range(3)] == [1, 1, 1]  # type: ignore[attr-defined]


def test_global_settings_stay() -> None:
    before = torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype(), os.getcwd()
    EnvSettings("Rude-v0").make()
    assert (torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype(), os.getcwd()) == before


def test_who_seeds_at_the_end_of_an_episode_has_generators_of_its_own() -> None:
    assert OwnGenerators in EnvSettings("Rude-v0").with_own_generators().wrappers


def test_closing_draws_no_random_numbers() -> None:
    env = EnvSettings("Rude-v0").make()
    before = torch.get_rng_state(), random.getstate()
    close(env)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()


class OneBuffer(gym.Env[Any, Any]):
    """Writes each observation, the number of the step, into the same memory."""

    observation_space = gym.spaces.Box(0, 9, (1,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self) -> None:
        self.buffer = np.zeros(1, np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.buffer[:] = 0
        return self.buffer, {}

    def step(self, action: Any) -> Any:
        self.buffer += 1
        return self.buffer, 1.0, False, bool(self.buffer[0] == 3), {}


def test_the_last_observation_is_not_the_next_episodes_first() -> None:
    """A worker resets at once, and the environment may write into the same memory."""
    env = OneBuffer()
    env.reset()
    *_, (observation, _, _, truncated, last) = [workers._answer(env, "step", 0) for _ in range(3)]
    assert truncated
    assert (observation.tolist(), last.tolist()) == ([0], [3])


def test_whoever_calls_exit_fails_the_run(tmp_path: Path) -> None:
    settings = {"env.id": "Rude-v0", "env.kwargs": {"leaves": True}, "env.vectorization": "sync", "threads": 1}
    with pytest.raises(EnvironmentFailedError, match=r"called sys\.exit"):
        lab.run("ppo", settings | {"total_timesteps": 512}, runs_dir=tmp_path)
