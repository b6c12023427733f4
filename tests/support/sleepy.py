"""A slow environment without a task. Its id is `tests.support.sleepy:Sleepy-v0`."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Sleepy(gym.Env[np.ndarray, Any]):
    """Sleeps in every step. Copies in processes of their own sleep at the same time."""

    observation_space = spaces.Box(-1, 1, (3,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, seconds: float = 0.005) -> None:
        self.seconds, self.steps = seconds, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(3, np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        time.sleep(self.seconds)
        self.steps += 1
        return np.zeros(3, np.float32), 1.0, self.steps >= 50, False, {}

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]


gym.register("Sleepy-v0", Sleepy, disable_env_checker=True)  # type: ignore[arg-type]
