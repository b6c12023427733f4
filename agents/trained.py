"""A trained agent for use in Python: `lab.load(run)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym

from agents.core.agent import Agent
from agents.environments.closing import close
from agents.environments.settings import EnvSettings
from agents.evaluation.episodes import EVALUATION, EvaluationSettings, announce_limit, episode_seeds, play_episodes
from agents.evaluation.play import play
from agents.networks.extractor import RecurrentState
from agents.onnx import export_onnx
from agents.sb3.export import export_sb3
from agents.spaces.images import ChannelsFirst
from agents.spaces.observations import fitted, misfit, stack
from lab.capabilities import Episode, Showing
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
        evaluation: how many episodes are played, and when they are cut off.
    """

    export_formats: ClassVar[Mapping[str, str]] = {"sb3": ".zip", "onnx": ".onnx"}

    def __init__(self, agent: Agent, settings: EnvSettings, evaluation: EvaluationSettings = EVALUATION) -> None:
        self.agent, self.settings, self.evaluation = agent, settings, evaluation
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

    def episodes(self, seed: int, count: int | None = None) -> list[Episode]:
        """Play `count` deterministic episodes, each from a seed that follows from `seed`; None: as many as the config
        says. The run's own seed gives the episodes of its figures.

        Raises EnvironmentFailedError.
        """
        seeds = episode_seeds(seed, "judge", count or self.evaluation.episodes)
        found = play_episodes(self.agent, self._limited(), seeds, side_by_side=self.evaluation.num_envs)
        return [Episode(*one) for one in zip(seeds, found.returns.tolist(), found.lengths.tolist(), strict=True)]

    def play(self, showing: Showing) -> Path | None:
        """Show one deterministic episode from each seed; return the film, or None for a window.

        Raises ConfigError where the environment cannot be shown that way.
        """
        announce_limit(self.settings, self.evaluation)
        return play(self.agent, self._limited(), showing)

    def export(self, path: Path) -> Sequence[str]:
        """Write the agent as a zip that plain Stable-Baselines3 loads, or its policy as an ONNX file, by the ending of
        `path`; return notes for its user.

        Raises ConfigError for what cannot be expressed there.
        """
        if path.suffix == self.export_formats["onnx"]:
            return export_onnx(self.agent, path)
        return export_sb3(self.agent, self.settings, path)

    def _limited(self) -> EnvSettings:
        return self.settings.limited(self.evaluation.longest)

    @cached_property
    def _turned_images(self) -> tuple[ChannelsFirst | None, gym.Space[Any]]:
        """Return what turns images, and the space of what it takes; None where the lab turns none."""
        env = self.environment()
        close(env)
        return (env, env.env.observation_space) if isinstance(env, ChannelsFirst) else (None, env.observation_space)

    def _fitting(self, observation: Any) -> Any:
        space = self.agent.observation_space
        wrong = misfit(space, observation)
        if wrong is None:
            return fitted(space, observation)
        turned, given = self._turned_images
        if turned is not None and misfit(given, observation) is None:
            return fitted(space, turned.observation(fitted(given, observation)))
        raise ConfigError(f"the agent of {self.settings.id} was given an observation {wrong}")
