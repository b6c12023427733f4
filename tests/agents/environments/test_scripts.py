"""Environments of scripts and simulators: workers that do not run the script again, small seeds, one copy at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from agents.environments.randomness import SmallSeeds
from agents.environments.settings import EnvSettings
from agents.environments.workers import needs_script
from lab.errors import ConfigError

SCRIPT = """
open("began.txt", "a").write("once\\n")
import gymnasium as gym
from agents.environments.settings import EnvSettings, Plan
gym.register("Mine-v0", "tests.agents.environments.test_scripts:Plain")
envs = EnvSettings("Mine-v0", num_envs=2, vectorization="async").make_vec(0, Plan("async", "none", None))
print(envs.reset().shape)
envs.close()
"""


class Plain(gym.Env[Any, Any]):
    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.left = 10
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        return np.full(2, self.left / 10, np.float32), float(action), self.left == 0, False, {}


class Engine(Plain):
    """Its engine takes a C int for a seed."""

    seen: ClassVar[list[int]] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        if seed is not None:
            self.seen.append(int(np.int32(seed)))
        return super().reset(seed=seed)


class Single(Plain):
    """A simulator behind one port."""

    taken: ClassVar[bool] = False

    def __init__(self) -> None:
        if Single.taken:
            raise RuntimeError("port 5005 is in use")
        Single.taken = True

    def close(self) -> None:
        Single.taken = False


@pytest.fixture(autouse=True)
def registered() -> Any:
    for cls in (Engine, Single):
        gym.register(f"{cls.__name__}-v0", cls)  # type: ignore[arg-type]  # a class makes environments
    yield
    for cls in (Engine, Single):
        del gym.registry[f"{cls.__name__}-v0"]


def test_workers_do_not_run_the_script() -> None:
    Path("script.py").write_text(SCRIPT)
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "script.py"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        timeout=120,
        check=False,
    )
    assert done.stdout == "(2, 2)\n", done.stderr
    assert Path("began.txt").read_text() == "once\n"


def test_what_the_script_defines_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not needs_script("Engine-v0", EnvSettings("Engine-v0"))
    monkeypatch.setattr(Engine, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Engine", Engine, raising=False)
    assert needs_script("Engine-v0", EnvSettings("Engine-v0"))


def test_small_seeds_for_those_who_need_them() -> None:
    assert EnvSettings("CartPole-v1").with_own_generators().wrappers == ()
    settings = EnvSettings("Engine-v0").with_own_generators()
    assert list(settings.wrappers) == [SmallSeeds]
    assert "takes no seeds from 2^31 on" in settings.notes()[-1]
    Engine.seen.clear()
    settings.make().reset(seed=2**31 + 5)
    assert Engine.seen == [5]


def test_one_copy_at_a_time_is_named() -> None:
    with pytest.raises(ConfigError, match=r"several copies .* at the same time.* port 5005 is in use"):
        EnvSettings("Single-v0", resume="boundary").plan()
