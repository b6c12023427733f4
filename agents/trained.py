"""A trained agent for use in Python: `lab.load(run)`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym

from agents.core.agent import Agent
from agents.environments.closing import close
from agents.environments.settings import EnvSettings
from agents.networks.extractor import RecurrentState
from agents.sb3.export import export_sb3
from agents.spaces.observations import ChannelsFirst, fitted, misfit, stack
from lab.errors import ConfigError


class TrainedAgent:
    """Acts in its environment, one step at a time:

        agent = lab.load("ppo-cartpole")
        env = agent.environment()
        observation, _ = env.reset()
        agent.reset()
        observation, *_ = env.step(agent.act(observation))

    Args:
        agent: acts by the weights that are evaluated.
        settings: of its environment.
    """

    export_formats: ClassVar[Sequence[str]] = ("zip",)

    def __init__(self, agent: Agent, settings: EnvSettings) -> None:
        self.agent, self.settings = agent, settings
        self.memory: RecurrentState | None = None

    def environment(self, render_mode: str | None = None) -> gym.Env[Any, Any]:
        """Make the environment with the run's wrappers, as it is evaluated in."""
        return self.settings.make(render_mode)

    def act(self, observation: Any) -> Any:
        """Return the likeliest action for one observation.

        Args:
            observation: as the environment's `reset` and `step` give it, without an axis for a batch; images may also
                have their channels last, as the environment had them before the lab turned them. A recurrent agent
                remembers the ones before it since `reset`.

        Raises ConfigError for an observation that does not fit the space.
        """
        seen = self._fitting(observation)
        actions, self.memory = self.agent.act(stack([seen]), self.memory)
        return actions[0]

    def reset(self) -> None:
        """Forget the observations so far: a new episode begins."""
        self.memory = None

    def export(self, path: Path) -> Sequence[str]:
        """Write the agent as `path`, a zip that plain Stable-Baselines3 loads; return notes for its user.

        Raises ConfigError for what cannot be expressed there.
        """
        return export_sb3(self.agent, self.settings, path)

    def _fitting(self, observation: Any) -> Any:
        space = self.agent.observation_space
        wrong = misfit(space, observation)
        if wrong is None:
            return fitted(space, observation)
        env = self.environment()
        close(env)
        if isinstance(env, ChannelsFirst) and misfit(env.env.observation_space, observation) is None:
            return env.observation(fitted(env.env.observation_space, observation))
        raise ConfigError(f"the agent of {self.settings.id} was given an observation {wrong}")
