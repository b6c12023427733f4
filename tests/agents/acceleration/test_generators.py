"""Environments that use the random generators of the process neither disturb an agent nor are disturbed by it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents.environments.randomness import OwnGenerators
from agents.environments.settings import EnvSettings, Plan
from lab.configuration import load
from lab.job import prepare
from lab.system.randomness import random_state

ID = "tests.agents.acceleration.test_generators:LabTest{}-v0"


class Seeds(gym.Env[Any, Any]):
    """Seeds every global generator when it is made and in every reset, whatever seed it is given."""

    observation_space = spaces.Box(0, 1, (3,), np.float64)
    action_space = spaces.Discrete(2)

    def __init__(self) -> None:
        self._seed()

    def _seed(self) -> None:
        random.seed(7)
        np.random.seed(7)
        torch.manual_seed(7)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._seed()
        self.left = 5
        return self._see(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        return self._see(), 1.0, self.left == 0, False, {}

    def _see(self) -> Any:
        return np.array([random.random(), np.random.random(), float(torch.rand(1))])


class Draws(Seeds):
    """Draws from the global generators, and never seeds them."""

    def _seed(self) -> None:
        pass


for environment in (Seeds, Draws):
    gym.register(f"LabTest{environment.__name__}-v0", environment, disable_env_checker=True)  # type: ignore[arg-type]


@pytest.fixture(params=["Seeds", "Draws"])
def settings(request: pytest.FixtureRequest) -> EnvSettings:
    return EnvSettings(ID.format(request.param), num_envs=2).with_own_generators()


def numbers() -> list[float]:
    return [random.random(), np.random.random(), float(torch.rand(1))]


def flat(state: Any) -> str:
    return repr([state["python"], state["numpy"][1].tolist(), state["torch"].tolist()])


def play(env: gym.Env[Any, Any], seed: int) -> list[Any]:
    return [env.reset(seed=seed)[0].tolist(), *(env.step(0)[0].tolist() for _ in range(4))]


def test_generators_of_the_process_stay(settings: EnvSettings) -> None:
    before = flat(random_state(torch.device("cpu")))
    env = settings.make()
    play(env, 3)
    assert flat(random_state(torch.device("cpu"))) == before


def test_the_process_does_not_change_episodes(settings: EnvSettings) -> None:
    env = settings.make()
    first = play(env, 3)
    numbers()
    assert play(env, 3) == first
    assert play(settings.make(), 3) == first
    assert (play(env, 4) == first) == ("Seeds" in settings.id)
    env.reset(seed=3)
    again = [env.step(0)[0].tolist() for _ in range(4) if numbers()]
    assert again == first[1:]


def test_episodes_are_the_same_in_workers(settings: EnvSettings) -> None:
    seen = []
    kinds: tuple[Literal["sync", "async"], ...] = ("sync", "async")
    for kind in kinds:
        envs = settings.make_vec(0, Plan(kind, "replay", None))
        observations: list[Any] = [envs.reset()]
        for _ in range(12):
            numbers()
            observations.append(envs.advance(np.zeros(2, int)).observations.copy())
        envs.close()
        seen.append(np.stack(observations))
    np.testing.assert_array_equal(seen[0], seen[1])
    assert settings.plan().method == "replay", "and they can be repeated"


def test_other_environments_stay_as_they_are() -> None:
    for id in ("CartPole-v1", "tests.support.tasks:Recite-v0"):
        settings = EnvSettings(id)
        assert settings.with_own_generators() is settings


def test_own_generators_are_outermost_and_announced(capsys: pytest.CaptureFixture[str]) -> None:
    limit = {"class_path": "gymnasium.wrappers.TimeLimit", "init_args": {"max_episode_steps": 3}}
    overrides = {"env.id": ID.format("Draws"), "env.training_wrappers": [limit], "env.num_envs": 1}
    experiment: Any = prepare(load("ppo", overrides), fast_dev_run=True).experiment
    assert isinstance(experiment.env.make(training=True), OwnGenerators)
    assert isinstance(experiment.env.make(), OwnGenerators)
    assert "draws from the global random generators" in experiment.notes[0]
    assert not Path("runs").exists()
