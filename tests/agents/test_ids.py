"""What is said about an environment before anything is trained: the nearest name, and whether its episodes end."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import lab
from agents.environments.settings import EnvSettings
from lab.configuration import load
from lab.errors import ConfigError
from lab.job import prepare


class Truncating(gym.Env[Any, Any]):
    """Truncates its episodes after `limit` steps, as many environments outside Gymnasium do by themselves; terminates
    them after `end`, and names the number `said`."""

    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, limit: int | None = None, end: int | None = None, said: Any = None) -> None:
        self.limit, self.end, self.max_steps = limit, end, said

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = 0
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at += 1
        return np.zeros(2, np.float32), 1.0, self.at == self.end, self.at == self.limit, {}


gym.register("Truncating-v0", f"{__name__}:Truncating")


@pytest.mark.parametrize(
    ("id", "nearest"),
    [("CartPol-v1", "'CartPole-v1'"), ("MountanCar-v3", "'MountainCar-v0'"), ("cartpole-v1", "'CartPole-v1'")],
)
def test_the_nearest_name_is_suggested(id: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean {nearest}"):
        EnvSettings(id).spaces()


@pytest.mark.parametrize("id", ["Foo-v1", "Bar-v0"])
def test_the_same_version_makes_no_two_names_alike(id: str) -> None:
    with pytest.raises(ConfigError, match="unknown environment") as error:
        EnvSettings(id).spaces()
    assert "did you mean" not in str(error.value)


@pytest.mark.parametrize(
    ("kwargs", "limit"),
    [
        ({"limit": 200}, 200),
        ({"limit": 200, "said": 7}, 200),  # it is tried: its episodes are longer than what it says
        ({"said": 7}, None),
        ({"said": 5_000}, 5_000),
        ({"end": 20, "said": 30}, 30),
        ({"end": 20}, None),
        *(({"said": said}, None) for said in (0, None, 2.5)),
    ],
)
def test_an_environment_may_truncate_its_episodes_itself(kwargs: dict[str, Any], limit: int | None) -> None:
    settings = EnvSettings("Truncating-v0", kwargs=kwargs)
    assert settings.max_episode_steps() is None
    assert settings.own_limit() == limit


def test_no_limit_is_told_of_one_that_truncates_itself(capsys: pytest.CaptureFixture[str]) -> None:
    more = {"env.id": f"{__name__}:Truncating-v0", "env.kwargs.limit": 200, "evaluation.episodes": 2}
    short = {"total_timesteps": 128, "agent.n_steps": 128, "env.num_envs": 1, "evaluation.every": 128}
    done = lab.run("ppo", more | short | {"evaluation.best_episodes": 1}, runs_dir="runs")
    assert done.metrics["eval/length_mean"] == 200
    assert "cut off" not in done.descriptions["eval/return_mean"]
    assert "27,000" not in capsys.readouterr().err


def test_boundaries_go_by_the_limit_that_is_kept() -> None:
    more = {"env.id": f"{__name__}:Truncating-v0", "env.kwargs.limit": 200, "env.resume": "boundary"}
    made = prepare(load("ppo", more | {"env.num_envs": 1, "checkpoint.steps": 4_000}), fast_dev_run=False)
    assert made.cadence.every == 4_000
    with pytest.raises(ConfigError, match="up to 200 steps long in 1 copies, received 3999"):
        prepare(load("ppo", more | {"env.num_envs": 1, "checkpoint.steps": 3_999}), fast_dev_run=False)


class Two(Truncating):
    """Has observations in two parts."""

    observation_space = gym.spaces.Dict({name: gym.spaces.Box(-1, 1, (2,)) for name in "ab"})  # type: ignore[assignment]

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return {name: np.zeros(2, np.float32) for name in "ab"}, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.reset()[0], 0.0, False, False, {}


gym.register("TwoParts-v0", f"{__name__}:Two", max_episode_steps=9)


@pytest.mark.parametrize(
    ("id", "shared", "tried"),
    [
        ("TwoParts-v0", False, True),
        ("TwoParts-v0", True, False),
        ("agents.environments.cartpole:CartPolePixels-v1", False, True),
        ("CartPole-v1", False, False),
    ],
)
def test_the_doctor_tries_one_encoder_for_images_and_dicts(id: str, shared: bool, tried: bool) -> None:
    config = load("ppo", {"env.id": id, "agent.share_encoder": shared, "threads": 1})
    experiment = prepare(config, fast_dev_run=False).experiment
    assert ("agent.share_encoder=true" in [one.setting for one in experiment.alternatives()]) == tried
