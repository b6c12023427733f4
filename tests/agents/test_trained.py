"""A trained agent acts on one observation, as its environment gives it, and remembers where it is recurrent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import lab
from agents.environments.settings import EnvSettings
from agents.evaluation.episodes import episode_seeds, play_episodes
from agents.spaces.images import ChannelsFirst
from agents.trained import TrainedAgent
from lab.capabilities import Acts, Exports, capabilities_of
from lab.encoders.networks.conv import Conv, ConvStage
from lab.encoders.networks.recurrent import Recurrent
from lab.errors import ConfigError
from lab.tracking.journal import read_journal
from tests.support.tasks import Counter, Env, dqn, ppo, together

NO_VEL = "agents.environments.cartpole:CartPoleNoVel-v1"


def test_loaded_runs_act_as_evaluated(tmp_path: Path) -> None:
    overrides = {"total_timesteps": 512, "evaluation.episodes": 3, "evaluation.video": False}
    run = lab.run("ppo-cartpole", overrides, runs_dir=tmp_path)
    agent = lab.load(run.dir)
    assert isinstance(agent, TrainedAgent)
    env = agent.environment()
    returns = []
    for seed in episode_seeds(run.seed, "judge", 3):
        observation, _ = env.reset(seed=seed)
        agent.reset()
        total, over = 0.0, False
        while not over:
            action = agent.act(observation)
            assert env.action_space.contains(action)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    assert np.mean(returns) == pytest.approx(run.metrics["eval/return_mean"])


def test_memory_lasts_until_reset() -> None:
    learned = ppo(together(Counter, 2), encoder=partial(Recurrent, width=8), batch_size=64)
    agent = TrainedAgent(learned, EnvSettings("tests.support.tasks:Counter-v0"))
    seen = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    for _ in range(2):
        memory = None
        for observation in seen:
            expected, memory = learned.act(observation[None], memory)
            assert agent.act(observation) == expected[0]
        assert agent.memory is not None
        agent.reset()
        assert agent.memory is None


def test_recurrent_agents_play_as_evaluated() -> None:
    settings = EnvSettings(NO_VEL, num_envs=2)
    learned = ppo(settings.make_vec(0, settings.plan()), encoder=partial(Recurrent, width=8), batch_size=64)
    agent, seeds = TrainedAgent(learned, settings), [3, 4]
    expected = play_episodes(learned, settings, seeds).lengths.tolist()
    env, lengths = agent.environment(), []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        agent.reset()
        over, length = False, 0
        while not over:
            observation, _, terminated, truncated, _ = env.step(agent.act(observation))
            over, length = terminated or truncated, length + 1
        lengths.append(length)
    assert lengths == expected


class Pictures(Counter):
    """Shows images with their channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Box(0, 255, (36, 36, 3), np.uint8)

    def _show(self) -> Any:
        return self.np_random.integers(0, 256, (36, 36, 3)).astype(np.uint8)


if "Pictures-v0" not in gym.registry:
    gym.register("Pictures-v0", Pictures, disable_env_checker=True)  # type: ignore[arg-type]


def test_images_may_have_their_channels_last() -> None:
    make: Callable[[], Env] = lambda: ChannelsFirst(Pictures())  # noqa: E731
    encoder = partial(Conv, stages=[ConvStage(4, kernel=8, stride=4)], hidden=[16])
    agent = TrainedAgent(ppo(together(make, 2), encoder=encoder), EnvSettings("Pictures-v0"))
    observation, _ = gym.make("Pictures-v0").reset(seed=0)
    assert agent.act(observation) == agent.act(observation.transpose(2, 0, 1))


@pytest.mark.parametrize("build", [ppo, dqn])
@pytest.mark.parametrize("observation", [np.zeros(3), np.zeros((1, 4)), "nothing", {"a": 1}])
def test_other_observations_are_refused(build: Any, observation: Any) -> None:
    agent = TrainedAgent(build(together(Counter, 2)), EnvSettings("tests.support.tasks:Counter-v0"))
    with pytest.raises(ConfigError, match="observation"):
        agent.act(observation)
    assert agent.act([0.0, 1.0, 2.0, 3.0]) in (0, 1, 2)


def test_capabilities() -> None:
    agent = TrainedAgent(ppo(together(Counter, 2)), EnvSettings("tests.support.tasks:Counter-v0"))
    assert isinstance(agent, Acts)
    assert isinstance(agent, Exports)
    assert capabilities_of(agent) == ["act", "export"]


@pytest.mark.parametrize(("every", "rows"), [(256, 4), (1000, 1)])
def test_rows_are_logged_as_often_as_asked(every: int, rows: int) -> None:
    settings = {"total_timesteps": 1024, "log_every": every, "evaluation.episodes": 1, "evaluation.video": False}
    record = lab.run("ppo-cartpole", settings)
    logged = [row for row in read_journal(record.dir / "metrics.jsonl") if "train/value_loss" in row]
    assert len(logged) == rows
