"""One copy of an environment of tensors, as Gymnasium's environments are called."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from agents.environments.tensors.base import Array, State, TensorEnv


class OneCopy(gym.Env[Array, Any]):
    """A copy whose time limit is that of `gym.make`, and whose random numbers are from Gymnasium's generator.

    Args:
        env: what is stepped.
        render_mode: None or one of the subclass's.
    """

    state: State

    def __init__(self, env: TensorEnv, render_mode: str | None = None) -> None:
        self.core, self.render_mode = env, render_mode
        self.observation_space, self.action_space = env.observation_space, env.action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        self.state = self.core.initial(self._uniforms())
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        actions = np.asarray(action)[None]
        self.state, rewards, terminated = self.core.move(self.state, actions, self._uniforms())
        return self._seen(), float(rewards[0]), bool(terminated[0]), False, {}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later steps depend on, except the random generator: `resumable` saves that."""
        return {name: part.copy() for name, part in self.state._asdict().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned, after a reset."""
        self.state = self.state._replace(**{name: part.copy() for name, part in state.items()})

    def _uniforms(self) -> Array:
        return self.np_random.random((1, self.core.draws), dtype=np.float32)

    def _seen(self) -> Array:
        return self.core.observe(self.state)[0]
