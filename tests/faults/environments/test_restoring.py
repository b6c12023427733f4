"""Environments are restored exactly, or a run says why not."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agents.environments.resumable import Resumable, choose_method, has_native_state
from agents.environments.settings import EnvSettings, Plan
from lab.configuration import load
from lab.errors import ConfigError
from lab.job import prepare
from lab.resuming import resume
from lab.saving.checkpoint import load as load_checkpoint
from lab.saving.checkpoint import publish
from tests.faults.environments.running import MODULE
from tests.faults.harness import differences, run_killed, run_undisturbed

NATIVE = [
    *("CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1", "Acrobot-v1"),
    *("Blackjack-v1", "FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "CliffWalkingSlippery-v1", "Taxi-v4"),
]
REPLAYED = ["LunarLander-v3", "LunarLanderContinuous-v3", "BipedalWalker-v3", f"{MODULE}:Walk-v0"]


def test_all_plain_environments_are_tried() -> None:
    registered = {
        spec.id
        for spec in gym.registry.values()
        if str(spec.entry_point).startswith(("gymnasium.envs.classic_control", "gymnasium.envs.toy_text"))
        and not spec.id.startswith("LabTest")  # which other tests of this process have registered
    }
    newest = {one for one in registered if _version(one) == max(_version(o) for o in registered if _same(o, one))}
    assert newest == set(NATIVE)


def _version(name: str) -> int:
    return int(name.rpartition("-v")[2])


def _same(a: str, b: str) -> bool:
    return a.rpartition("-v")[0] == b.rpartition("-v")[0]


def play(env: gym.Env[Any, Any], actions: list[Any]) -> list[Any]:
    seen = []
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        episode = info.get("episode", {})
        seen.append((np.array(observation), reward, terminated, truncated, episode.get("r"), episode.get("l")))
        if terminated or truncated:
            seen.append((np.array(env.reset()[0]), 0, False, False, None, None))
    return seen


@pytest.mark.parametrize("name", [*NATIVE, *REPLAYED, f"{MODULE}:OwnState-v0"])
def test_environment_is_restored(name: str, tmp_path: Path) -> None:
    """The state goes through a file into a copy with another history, in the middle of an episode."""
    make = partial(gym.make, name)
    method, reason = choose_method(make)
    assert (method, reason) == ("replay" if name in REPLAYED else "native", None)
    one, other = (Resumable(make(), seed=3, copy=0, method=method) for _ in range(2))
    one.action_space.seed(0)
    actions = [one.action_space.sample() for _ in range(400)]
    one.reset()
    other.reset()
    play(one, actions[:137])
    play(other, actions[200:250])
    publish(tmp_path / "x", one.state(), {})
    other.restore(load_checkpoint(tmp_path / "x").state)
    for a, b in zip(play(one, actions[137:]), play(other, actions[137:]), strict=True):
        assert np.array_equal(a[0], b[0])
        assert a[1:] == b[1:]


def test_atari_is_restored(tmp_path: Path) -> None:
    ale_py = pytest.importorskip("ale_py", reason="needs the extra `atari`")
    gym.register_envs(ale_py)
    make = partial(gym.make, "ALE/Pong-v5", repeat_action_probability=0.25)
    assert choose_method(make) == ("replay", None)
    one, other = (Resumable(make(), seed=3, copy=0, method="replay") for _ in range(2))
    actions = np.random.default_rng(0).integers(0, 6, 200).tolist()
    one.reset()
    other.reset()
    play(one, actions[:90])
    publish(tmp_path / "x", one.state(), {})
    other.restore(load_checkpoint(tmp_path / "x").state)
    for a, b in zip(play(one, actions[90:]), play(other, actions[90:]), strict=True):
        assert np.array_equal(a[0], b[0])
        assert a[1:] == b[1:]


def test_unknown_wrapper_is_replayed() -> None:
    env = gym.wrappers.NormalizeReward(gym.make("CartPole-v1"))
    assert not has_native_state(env)
    assert choose_method(lambda: gym.wrappers.RecordEpisodeStatistics(gym.make("CartPole-v1")))[0] == "replay"


@pytest.mark.parametrize("name", ["Moody", "Haunted"])
def test_inexact_environment_is_reported(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = {"env.id": f"{MODULE}:{name}-v0", "total_timesteps": 1024, "checkpoint.steps": 256}
    resumed = resume(run_killed("ppo", 3, **more))
    assert resumed.status == "completed"
    assert resumed.resume["exact"] is False
    assert resumed.resume["reason"] == f"{name}-v0 does not repeat an episode from its seed and its actions"


@pytest.mark.parametrize("name", ["Moody", "Haunted"])
def test_boundary_stays_inexact(name: str) -> None:
    plan = EnvSettings(f"{MODULE}:{name}-v0", resume="boundary").plan()
    reason = f"{name}-v0 does not repeat an episode from its seed and its actions"
    assert plan == Plan("sync", "boundary", reason)
    assert EnvSettings(f"{MODULE}:Walk-v0", resume="boundary").plan() == Plan("sync", "boundary", None)


def test_inexact_boundary_is_reported() -> None:
    limit = {"class_path": "gymnasium.wrappers.TimeLimit", "init_args": {"max_episode_steps": 40}}
    more = {"env.id": f"{MODULE}:Moody-v0", "env.resume": "boundary", "env.wrappers": [limit], "env.num_envs": 1}
    resumed = resume(run_killed("ppo", 1, **more | {"checkpoint.steps": 1000, "agent.batch_size": 32}))
    assert resumed.status == "completed"
    assert resumed.resume["exact"] is False
    assert resumed.resume["reason"] == "Moody-v0 does not repeat an episode from its seed and its actions"


def test_close_boundaries_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"checkpoint\.steps must be at least 10000 where env\.resume is boundary"):
        run_undisturbed("boundary", **{"checkpoint.steps": 5000})
    with pytest.raises(ConfigError, match=r"env\.resume is native, but"):
        run_undisturbed("ppo", **{"env.id": "LunarLander-v3", "env.resume": "native"})


def test_async_equals_sync() -> None:
    asynchronous = run_undisturbed("workers")
    assert differences(asynchronous.dir, run_undisturbed("workers", **{"env.vectorization": "sync"}).dir) == []


def test_boundary_needs_episode_ends() -> None:
    more = {"env.id": f"{MODULE}:Endless-v0", "env.resume": "boundary", "env.num_envs": 2, "agent.batch_size": 64}
    job = prepare(load("ppo-cartpole", more | {"evaluation.max_steps": 300}), fast_dev_run=False)
    assert job.cadence.every == 20 * 300 * 2
    with pytest.raises(ConfigError, match=r"must be at least 12000 .* up to 300 steps long \(evaluation"):
        prepare(load("ppo-cartpole", more | {"evaluation.max_steps": 300, "checkpoint.steps": 500}), fast_dev_run=False)
