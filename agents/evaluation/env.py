"""An environment for whole episodes outside of training: to evaluate, film or watch an agent."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from agents.environments.closing import close
from agents.environments.settings import EnvSettings
from agents.networks.extractor import RecurrentState
from agents.spaces.observations import fitted, misfit, stack
from lab.errors import EnvironmentFailedError


class Actor(Protocol):
    """What acts in an environment: `agents.core.agent.Agent`, or anything else with its `act`."""

    def act(
        self, observations: Any, memory: RecurrentState | None = None
    ) -> tuple[np.ndarray[Any, Any], RecurrentState | None]: ...


class EvalEnv:
    """One environment and its current episode. Close it after use.

    All methods raise EnvironmentFailedError if the environment's own code fails, if a reward or observation is not
    finite, or if an observation does not fit its space.

    Args:
        settings: of the environment.
        render_mode: how it is drawn; None for not at all.
    """

    observation: Any
    """The newest observation of the episode."""
    reward: float
    """Of the newest step."""
    terminated: bool
    truncated: bool

    def __init__(self, settings: EnvSettings, render_mode: str | None = None) -> None:
        self.name = settings.id.rpartition(":")[2]
        self.env = settings.make(render_mode)
        self.seed, self.total, self.length, self.over = 0, 0.0, 0, False
        self.memory: RecurrentState | None = None

    def begin(self, seed: int) -> None:
        """Begin the episode of `seed`."""
        self.seed, self.total, self.length, self.over, self.memory = seed, 0.0, 0, False, None
        self.reward, self.terminated, self.truncated = 0.0, False, False
        try:
            observation, _ = self.env.reset(seed=seed)
        except Exception as error:  # an environment's own code may fail in any way
            raise self._raised(error) from error
        self._see(observation)

    def act(self, agent: Actor) -> None:
        """Take the step that `agent` would take."""
        actions, self.memory = agent.act(stack([self.observation]), self.memory)
        self.step(actions[0])

    def step(self, action: Any) -> None:
        """Take one step; `total` is the undiscounted return and `length` the number of steps after it."""
        self.length += 1
        try:
            observation, reward, terminated, truncated, _ = self.env.step(action)
            self.reward = float(reward)
            self.total += self.reward
        except Exception as error:  # an environment's own code may fail in any way
            raise self._raised(error) from error
        if not math.isfinite(self.total):
            raise self._failed(f"gave the reward {reward}")
        self._see(observation)
        self.terminated, self.truncated = bool(terminated), bool(truncated)
        self.over = self.terminated or self.truncated

    def render(self) -> Any:
        """Return what the environment draws."""
        try:
            return self.env.render()
        except Exception as error:  # an environment's own code may fail in any way
            raise self._raised(error) from error

    def close(self) -> None:
        """Close the environment."""
        close(self.env)

    def _see(self, observation: Any) -> None:
        if wrong := misfit(self.env.observation_space, observation):
            raise self._failed(f"gave an observation {wrong}")
        self.observation = fitted(self.env.observation_space, observation)
        parts = self.observation.values() if isinstance(self.observation, dict) else (self.observation,)
        for part in parts:
            if part.dtype.kind == "f" and not np.isfinite(part).all():
                raise self._failed(f"gave an observation that is not finite: {part}")

    def _raised(self, error: Exception) -> EnvironmentFailedError:
        return self._failed(f"raised {type(error).__name__}: {error}")

    def _failed(self, what: str) -> EnvironmentFailedError:
        return EnvironmentFailedError(
            f"environment {self.name} (episode of seed {self.seed}, step {self.length:,}) {what}"
        )
