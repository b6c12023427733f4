"""Workers that die, hang or outlive their run are noticed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecEnv

from agents.environments.settings import EnvSettings, Plan
from agents.environments.vector import Environments
from agents.environments.workers import AsyncEnvs
from lab.errors import EnvironmentFailedError
from tests.faults.environments.running import MODULE, run
from tests.faults.harness import kill, lab_process, wait_for


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


def workers(name: str, timeout: float) -> Environments:
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


@pytest.mark.fault(15)
def test_long_replay_is_given_time() -> None:
    """`timeout` is for one answer to one step; an episode of many steps takes longer to repeat."""
    envs = workers("Slow", 1)
    envs.reset()
    for _ in range(5):
        seen = envs.step(np.zeros(2, int))[0]
    again = workers("Slow", 1)
    restored = again.restore(envs.state())
    assert isinstance(seen, np.ndarray)
    for one, other in zip(restored, seen, strict=True):
        assert np.array_equal(one, other)
    for each in (envs, again):
        each.close()


@pytest.mark.fault(15)
def test_hanging_replay_is_noticed() -> None:
    """A worker that hangs in a replay is found in the time of one step, however long the episode is."""
    envs, again = workers("Walk", 60), workers("Hanging", 2)
    processes = worker_pids(again)
    envs.reset()
    state = envs.state()
    envs.close()
    for copy in state["copies"]:
        copy |= {"actions": np.zeros(1000, int), "steps": 1000}
    began = time.monotonic()
    with pytest.raises(EnvironmentFailedError, match="the worker of environment 0 has not answered within 3 s"):
        again.restore(state)
    assert time.monotonic() - began < 15
    assert gone(processes)


def test_replay_counts_steps() -> None:
    """Workers go on from a replay as from the steps themselves: observations, steps, and what a next state holds."""
    envs, again = workers("Walk", 60), workers("Walk", 60)
    envs.reset()
    step(envs, 25)
    again.restore(envs.state())
    for one, other in zip(envs.state()["copies"], again.state()["copies"], strict=True):
        assert one["actions"] is None or np.array_equal(one.pop("actions"), other.pop("actions"))
        assert one == other
    assert np.array_equal(envs.step(np.ones(2, int))[0], again.step(np.ones(2, int))[0])  # type: ignore[arg-type]
    for each in (envs, again):
        each.close()
