"""What is said about an environment before anything is trained: the nearest name, and whether its episodes end."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agents.environments.settings import EnvSettings
from lab.configuration import load
from lab.errors import ConfigError
from lab.job import prepare


class Truncating(gym.Env[Any, Any]):
    """Ends its episodes by itself, as many environments outside Gymnasium do."""

    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, limit: Any = 30) -> None:
        self.max_steps = limit


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


@pytest.mark.parametrize(("limit", "ends"), [(30, True), (0, False), (None, False), (2.5, False)])
def test_an_environment_may_end_its_episodes_itself(limit: Any, ends: bool) -> None:
    settings = EnvSettings("Truncating-v0", kwargs={"limit": limit})
    assert settings.max_episode_steps() is None
    assert settings.ends_itself() == ends


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
    [("TwoParts-v0", False, True), ("TwoParts-v0", True, False), ("CartPole-v1", False, False)],
)
def test_the_doctor_tries_one_encoder_for_observations_in_parts(id: str, shared: bool, tried: bool) -> None:
    config = load("ppo", {"env.id": id, "agent.share_encoder": shared, "threads": 1})
    experiment = prepare(config, fast_dev_run=False).experiment
    assert ("agent.share_encoder=true" in [one.setting for one in experiment.alternatives()]) == tried
