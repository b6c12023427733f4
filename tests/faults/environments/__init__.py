"""Environments with faults. Their ids look like `tests.faults.environments:Broken-v0`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

Step = tuple[np.ndarray, float, bool, bool, dict[str, Any]]


class Walk(gym.Env[np.ndarray, Any]):
    """A random walk of up to 40 steps. Its subclasses have their fault at their 100th step in all."""

    observation_space = spaces.Box(-100, 100, (3,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self) -> None:
        self.lived = self.at = 0
        self.place = np.zeros(3, np.float32)
        if folder := os.environ.get("PIDS"):
            Path(folder, str(os.getpid())).touch()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.at, self.place = 0, self.draw()
        return self.place, {}

    def step(self, action: Any) -> Step:
        self.lived, self.at = self.lived + 1, self.at + 1
        self.place = (self.place + self.draw() * (2 * float(action) - 1)).astype(np.float32)
        return self.place, float(self.place[0]), bool(abs(self.place[0]) > 3), self.at >= 40, {}

    def draw(self) -> np.ndarray:
        return self.np_random.normal(size=3).astype(np.float32)


class Broken(Walk):
    def step(self, action: Any) -> Step:
        if self.lived == 100:
            raise RuntimeError("the wheel came off")
        return super().step(action)


class Stillborn(Walk):
    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        raise RuntimeError("there is no wheel")


class NanReward(Walk):
    def step(self, action: Any) -> Step:
        observation, reward, *rest = super().step(action)
        return observation, float("nan") if self.lived == 100 else reward, *rest  # type: ignore[return-value]


class NanObservation(Walk):
    def step(self, action: Any) -> Step:
        observation, *rest = super().step(action)
        return np.where(self.lived == 100, np.nan, observation).astype(np.float32), *rest  # type: ignore[return-value]


class Hanging(Walk):
    def step(self, action: Any) -> Step:
        if self.lived == 100:
            time.sleep(600)
        return super().step(action)


class Slow(Walk):
    """Takes 0.3 s for a step."""

    def step(self, action: Any) -> Step:
        time.sleep(0.3)
        return super().step(action)


class Moody(Walk):
    """Draws random numbers from the operating system, so no episode can be repeated."""

    def draw(self) -> np.ndarray:
        return np.random.default_rng().normal(size=3).astype(np.float32)


class Haunted(Walk):
    """An episode can be repeated in a fresh copy, but not after another episode."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        observation, info = super().reset(seed=seed)
        self.place = observation + self.lived
        return self.place, info


class Endless(Walk):
    """Episodes end only by the action 1, and no time limit is declared."""

    def step(self, action: Any) -> Step:
        observation, reward, *_ = super().step(action)
        return observation, reward, bool(action == 1), False, {}


class Wild(Walk):
    """Has its fault unless wrapped in `Tamed`. With `Tamed` under env.training_wrappers: in evaluation.

    Args:
        how: `raise` an error, or give the `nan` reward or observation (`nothing`), in the second step.
    """

    metadata = {"render_modes": ["rgb_array"]}
    tame = False
    closed = 0

    def __init__(self, how: str, render_mode: str | None = None) -> None:
        super().__init__()
        self.how, self.render_mode = how, render_mode

    def step(self, action: Any) -> Step:
        observation, reward, *rest = super().step(action)
        if not self.tame and self.at == 2:
            if self.how == "raise":
                raise ValueError("nobody tames me")
            reward = float("nan") if self.how == "nan" else reward
            observation = observation * np.float32(np.nan) if self.how == "nothing" else observation
        return observation, reward, *rest  # type: ignore[return-value]

    def render(self) -> Any:
        return np.zeros((40, 60, 3), np.uint8)

    def close(self) -> None:
        Wild.closed += 1


class Tamed(gym.Wrapper[Any, Any, Any, Any]):
    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        env.unwrapped.tame = True  # type: ignore[attr-defined]


class OwnState(Walk):
    """Has `state_dict` and `load_state_dict` of its own."""

    def state_dict(self) -> dict[str, Any]:
        return {"at": self.at, "lived": self.lived, "place": self.place.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.at, self.lived, self.place = state["at"], state["lived"], state["place"]


FAULTY = (Broken, Stillborn, NanReward, NanObservation, Hanging, Slow, Moody, Haunted, Endless, Wild)
for environment in (Walk, *FAULTY, OwnState):
    gym.register(f"{environment.__name__}-v0", environment, disable_env_checker=True)  # type: ignore[arg-type]
