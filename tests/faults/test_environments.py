"""Environments are restored exactly, and failing environments are reported."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import VecEnv

import lab
from agents.environments.resumable import Resumable, choose_method, has_native_state
from agents.environments.settings import EnvSettings, Plan
from agents.environments.workers import AsyncEnvs
from agents.evaluation.episodes import film, play_episodes
from agents.evaluation.play import play as watch
from lab.capabilities import Episode, Showing
from lab.cli.main import main
from lab.configuration import load
from lab.errors import ConfigError, EnvironmentFailedError
from lab.job import prepare
from lab.resuming import resume
from lab.saving.checkpoint import load as load_checkpoint
from lab.saving.checkpoint import publish
from tests.faults.environments import Wild
from tests.faults.harness import BRIEF, differences, kill, lab_process, run_killed, run_undisturbed, wait_for
from tests.support.tasks import weights

MODULE = "tests.faults.environments"
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


def run(name: str, *more: str) -> list[str]:
    brief = [f"--{key}={value}" for key, value in BRIEF.items()]
    small = ["--env.num_envs=2", "--agent.batch_size=64"]
    return ["run", "ppo-cartpole", f"--env.id={MODULE}:{name}-v0", *small, *brief, *more]


@pytest.mark.fault(13)
@pytest.mark.parametrize(
    ("name", "what"),
    [("NanReward", "gave the reward nan"), ("NanObservation", "gave an observation that is not finite: [nan nan nan]")],
)
def test_nan_names_environment_and_step(name: str, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(run(name)) == 4
    err = capsys.readouterr().err
    assert f"lab: error: environment {name}-v0 (copy 0, its step 100, episode " in err
    assert what in err


@pytest.mark.fault(14)
@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_environment_traceback_is_shown(vectorization: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(run("Broken", f"--env.vectorization={vectorization}", "--checkpoint.steps=64")) == 4
    err = capfd.readouterr().err
    assert 'raise RuntimeError("the wheel came off")' in err
    assert "lab: error: environment Broken-v0 (copy 0, its step 101, episode " in err
    assert err.rstrip().endswith("raised RuntimeError: the wheel came off")


@pytest.mark.fault(14)
def test_early_failure_leaves_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(run("Stillborn")) == 4
    err = capsys.readouterr().err
    assert 'raise RuntimeError("there is no wheel")' in err
    assert "environment Stillborn-v0 raised RuntimeError: there is no wheel" in err
    assert not Path("runs").exists()


WILD = {"raise": "raised ValueError: nobody tames me", "nan": "gave the reward nan"}
WILD |= {"nothing": "gave an observation that is not finite: [nan nan nan]"}


def wild(how: str) -> dict[str, Any]:
    tamed = [{"class_path": f"{MODULE}.Tamed"}]
    return {"env.id": f"{MODULE}:Wild-v0", "env.kwargs": {"how": how}, "env.training_wrappers": tamed}


@pytest.mark.fault(14)
@pytest.mark.parametrize("how", WILD)
@pytest.mark.parametrize("when", ["on the way", "at the end"])
def test_failure_in_evaluation_is_reported(how: str, when: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = [f"--{name}={json.dumps(value)}" for name, value in wild(how).items() if name != "env.id"]
    every = "--evaluation.every=" + ("300" if when == "on the way" else "100000")
    assert main(run("Wild", *more, every, "--total_timesteps=512", "--device=cpu")) == 4
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("lab: error: environment Wild-v0 (episode of seed ")
    assert said.endswith(f", step 2) {WILD[how]}")


@pytest.mark.parametrize("how", WILD)
def test_failing_environment_is_closed(how: str) -> None:
    settings = EnvSettings(f"{MODULE}:Wild-v0", kwargs={"how": how})
    playing: list[Callable[[], Any]] = [
        lambda: play_episodes(Still(), settings, [1, 2, 3]),
        lambda: film(Still(), settings, 1),
        lambda: watch(Still(), settings, Showing([1], Path("x"), output=Path("x.gif"))),
    ]
    settings.make().close()  # imports its module
    for made, play_one in zip((3, 1, 1), playing, strict=True):
        looked = 0 if made == 3 else 1  # to read its render modes
        before = Wild.closed
        with pytest.raises(EnvironmentFailedError, match=re.escape(WILD[how])):
            play_one()
        assert made <= Wild.closed - before <= made + looked
    assert not list(Path().iterdir()), "an incomplete film was left behind"


def test_final_policy_comes_back() -> None:
    job = prepare(load("ppo-cartpole", wild("raise")), fast_dev_run=True)
    experiment: Any = job.experiment
    final = weights(experiment.agent.policy).clone()
    experiment.best_state = {name: value + 1 for name, value in experiment.agent.policy.state_dict().items()}

    def play_the_best() -> None:
        with experiment._as_best():
            assert not torch.equal(weights(experiment.agent.policy), final)
            play_episodes(experiment.agent, experiment.env, [1])

    with pytest.raises(EnvironmentFailedError):
        play_the_best()
    assert torch.equal(weights(experiment.agent.policy), final)


class Still:
    """Takes the action 0."""

    def act(self, observations: Any, memory: Any = None) -> tuple[Any, Any]:
        return np.zeros(len(observations), int), None


@pytest.mark.parametrize("name", [f"{MODULE}:Endless-v0", "CliffWalking-v1"])
def test_endless_episode_is_cut_off(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = {"env.id": name, "evaluation.max_steps": 70, "evaluation.video": False}
    done = lab.run("ppo", more, runs_dir="runs", fast_dev_run=True)
    assert done.status == "completed"
    assert 0 < (done.metrics["eval/length_mean"] or 0) <= 70
    assert "cut off after 70 steps" in done.descriptions["eval/return_mean"]
    said = capsys.readouterr().err
    assert said.count("names no time limit: evaluation, films and lab play cut an episode off after 70 steps") == 1


def test_own_time_limit_stays() -> None:
    endless = EnvSettings(f"{MODULE}:Endless-v0")
    assert play_episodes(Still(), endless.limited(70), [1, 2]).lengths.tolist() == [70, 70]
    told: list[Episode] = []
    path = Path("x.gif")
    wildly = replace(endless, id=f"{MODULE}:Wild-v0", kwargs={"how": "not"})
    watch(Still(), wildly.limited(5), Showing([1], path, output=path, told=told.append))
    assert [one.length for one in told] == [5]
    limit = partial(gym.wrappers.TimeLimit, max_episode_steps=90)
    for own in (EnvSettings("CartPole-v1"), replace(endless, wrappers=[limit])):
        assert own.limited(70) is own


def test_boundary_needs_episode_ends() -> None:
    more = {"env.id": f"{MODULE}:Endless-v0", "env.resume": "boundary", "env.num_envs": 2, "agent.batch_size": 64}
    job = prepare(load("ppo-cartpole", more | {"evaluation.max_steps": 300}), fast_dev_run=False)
    assert job.cadence.every == 20 * 300 * 2
    with pytest.raises(ConfigError, match=r"must be at least 12000 .* up to 300 steps long \(evaluation"):
        prepare(load("ppo-cartpole", more | {"evaluation.max_steps": 300, "checkpoint.steps": 500}), fast_dev_run=False)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids: list[int], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(alive, pids))


@pytest.fixture
def pids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where each process that makes an environment writes a file named by its process id."""
    folder = tmp_path / "pids"
    folder.mkdir()
    monkeypatch.setenv("PIDS", str(folder))
    return folder


def workers(name: str, timeout: float) -> VecEnv:
    return EnvSettings(f"{MODULE}:{name}-v0", num_envs=2, vectorization="async", timeout=timeout).make_vec(
        0, Plan("async", "replay", None)
    )


def step(envs: VecEnv, times: int) -> None:
    for _ in range(times):
        envs.step(np.zeros(2, int))


def worker_pids(envs: VecEnv) -> list[int]:
    assert isinstance(envs, AsyncEnvs)
    return [worker.pid for worker in envs.workers]


@pytest.mark.fault(15)
def test_dead_worker_is_noticed() -> None:
    envs = workers("Walk", 60)
    processes = worker_pids(envs)
    envs.reset()
    os.kill(processes[1], signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(EnvironmentFailedError, match=r"the worker of environment 1 (died with exit code -9|is gone)"):
        step(envs, 3)
    assert time.monotonic() - began < 10
    assert gone(processes)


@pytest.mark.fault(15)
def test_hanging_worker_is_noticed() -> None:
    envs = workers("Hanging", 2)
    processes = worker_pids(envs)
    envs.reset()
    began = time.monotonic()
    with pytest.raises(EnvironmentFailedError, match="the worker of environment 0 has not answered within 2 s"):
        step(envs, 200)
    assert time.monotonic() - began < 15
    assert gone(processes)


@pytest.mark.fault(15)
def test_no_worker_outlives_run(pids: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one that hangs in the middle of a step."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    process = lab_process([*run("Hanging", "--env.vectorization=async"), "--runs-dir", "runs"])
    wait_for(lambda: any(Path("runs").rglob("metrics.jsonl")), process)
    time.sleep(1.5)
    kill(process)
    numbers = [int(path.name) for path in pids.iterdir()]
    assert len(numbers) >= 3
    assert gone(numbers)


@pytest.mark.fault(15)
def test_closing_twice_is_fine() -> None:
    envs = workers("Walk", 60)
    processes = worker_pids(envs)
    closing = threading.Thread(target=envs.close)
    closing.start()
    closing.join(20)
    envs.close()
    assert gone(processes)
