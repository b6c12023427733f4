"""Evaluation of an agent: whole episodes, each from its own seed, several in parallel."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from agents.environments.making import TRIED_STEPS
from agents.environments.resumable import MOST_REPLAYED
from agents.environments.settings import EnvSettings
from agents.evaluation.env import Actor, EvalEnv
from agents.evaluation.together import Episodes, play_together
from agents.networks.extractor import RecurrentState
from agents.spaces.observations import stack
from lab.config.roles import Roles
from lab.config.types import Count, PositiveInt
from lab.console.notices import notice

SIDE_BY_SIDE = 20
"""Environments that are open at the same time. A heavy simulator takes hundreds of megabytes for each."""

LONGEST_EPISODE = MOST_REPLAYED
"""Steps after which an episode is cut off if the environment has no time limit. The Arcade Learning Environment ends
its games after as many: 108,000 frames, four in each step."""

SHORT_EPISODE = 1_000
"""The same in a fast-dev run."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How the agent is evaluated. Its actions are always deterministic.

    Args:
        episodes: episodes of the final policy, and of the best one, on seeds that training does not use.
        every: steps between the evaluations that choose the best policy.
        best_episodes: episodes of each of these, on seeds of their own.
        num_envs: environments that are open at the same time, each for one episode, where they do not step in arrays.
        stop_at: training ends when the mean return of one of these evaluations reaches this value; null for never.
        max_steps: steps after which evaluation, films and `lab play` cut an episode off if the environment has no time
            limit; null for 27,000. It does not apply to training.
        video: film an episode of the final and of the best policy, and the beginning of one episode of the latest
            policy during training, if the environment can be drawn.
        video_every: steps between two films of the latest policy; null for a quarter of the run.
    """

    roles: ClassVar[Roles] = Roles(
        episodes=("episodes",),
        protocol=("max_steps",),
        stops=("stop_at",),
        watching=("every", "best_episodes"),
        indifferent=("num_envs", "video", "video_every"),
    )

    episodes: Count = 100
    every: PositiveInt = 10_000
    best_episodes: Count = 10
    num_envs: Count = SIDE_BY_SIDE
    stop_at: float | None = None
    max_steps: PositiveInt | None = None
    video: bool = True
    video_every: PositiveInt | None = None

    @property
    def longest(self) -> int:
        """Steps after which an episode is cut off where the environment has no time limit."""
        return self.max_steps or LONGEST_EPISODE

    def shortened(self) -> EvaluationSettings:
        """Return the settings of a fast-dev run."""
        return replace(self, episodes=2, best_episodes=2, max_steps=min(self.longest, SHORT_EPISODE))


EVALUATION = EvaluationSettings()
"""Where a config says nothing."""


def episode_seeds(seed: int, purpose: str, count: int) -> list[int]:
    """Return seeds for `count` episodes of a run with this `seed`.

    They are hashes of 32 bits, so that episodes for other purposes, of other runs and of training have other seeds.
    """
    entropy = [seed, *purpose.encode()]
    return [int(s) for s in np.random.SeedSequence(entropy).generate_state(count)]


def is_endless(settings: EnvSettings) -> bool:
    """Whether the environment has no time limit and seems to truncate no episode by itself."""
    return settings.max_episode_steps() is None and settings.own_limit() is None


def announce_limit(settings: EnvSettings, evaluation: EvaluationSettings) -> None:
    """Say so if the environment has no time limit and truncates no episode by itself: then evaluation may have to."""
    if is_endless(settings):
        notice(
            f"{settings.id} names no time limit, and truncated no episode in {TRIED_STEPS:,} steps of random actions: "
            f"evaluation, films and lab play cut an episode off after {evaluation.longest:,} steps "
            "(evaluation.max_steps), and training never does; a resumed run begins a new episode in place of one of "
            f"more than {MOST_REPLAYED:,} steps; gymnasium.wrappers.TimeLimit under env.wrappers limits all of them"
        )


def figures(group: str, episodes: Episodes) -> dict[str, float]:
    """Return mean and standard deviation of the returns, and the mean length, by names such as `eval/return_mean`."""
    return {
        f"{group}/return_mean": float(episodes.returns.mean()),
        f"{group}/return_std": float(episodes.returns.std()),
        f"{group}/length_mean": float(episodes.lengths.mean()),
    }


def play_episodes(
    agent: Actor,
    settings: EnvSettings,
    seeds: Sequence[int],
    *,
    side_by_side: int = SIDE_BY_SIDE,
    native: bool = True,
) -> Episodes:
    """Play one deterministic episode from each seed, each in an environment of its own. Only a time limit cuts an
    episode off, and each counts once.

    Args:
        side_by_side: most environments that are open at the same time; the policy acts in all of them together.
        native: play all of them in the environment's native vector, where it has one that plays the same episodes. Not
            for an agent whose actions depend on anything but the observations.

    Raises EnvironmentFailedError.
    """
    if native and (played := play_together(agent, settings, seeds)):
        return played
    returns, lengths = np.zeros(len(seeds)), np.zeros(len(seeds), dtype=int)
    for start in range(0, len(seeds), side_by_side):
        chunk = range(start, min(start + side_by_side, len(seeds)))
        with ExitStack() as opened:
            envs = [opened.enter_context(closing(EvalEnv(settings))) for _ in chunk]
            for env, i in zip(envs, chunk, strict=True):
                env.begin(int(seeds[i]))
            playing = envs
            memory: RecurrentState | None = None  # row r of the memory is of playing[r]
            while playing:
                actions, memory = agent.act(stack([env.observation for env in playing]), memory)
                for env, action in zip(playing, actions, strict=True):
                    env.step(action)
                going_on = [row for row, env in enumerate(playing) if not env.over]
                if len(going_on) < len(playing):
                    memory, playing = _rows(memory, going_on), [playing[row] for row in going_on]
            returns[chunk], lengths[chunk] = [env.total for env in envs], [env.length for env in envs]
    return Episodes(returns, lengths)


def _rows(memory: RecurrentState | None, kept: list[int]) -> RecurrentState | None:
    return None if memory is None else tuple(part[kept] for part in memory)
