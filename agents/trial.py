"""Short turns of training for `lab doctor`, which measures where the time of a step goes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.preprocessing import is_image_space

from agents.core.agent import Agent
from agents.environments.settings import EnvSettings
from agents.evaluation.together import Episodes
from agents.reporting import LOG_EVERY, TrackerWriter, TrainingReporter
from lab.console.progress import Unseen
from lab.errors import ConfigError
from lab.experiment import Alternative, RunContext, Timing

MIDDLE = 10**9
"""Steps done so far, of twice as many: schedules are halfway, and no turn reaches the end of the run."""

NEVER = 4 * MIDDLE


class Turns:
    """Lets an agent learn in turns as in the middle of a run: schedules and exploration are halfway, the journal is
    written, and nothing is evaluated or saved.

    Args:
        context: with the tracker to write to.
    """

    def __init__(self, agent: Agent, context: RunContext) -> None:
        self.agent = agent
        agent.set_logger(Logger(None, [TrackerWriter(context.tracker)]))
        agent.num_timesteps = MIDDLE
        settings: Any = agent
        if agent.replay is not None:  # learning need not wait until the buffer is as full as in a run
            settings.learning_starts = MIDDLE + min(settings.learning_starts, 4 * settings.batch_size)
        self.reporter = TrainingReporter(
            context.tracker,
            Unseen("", 1, ""),
            log_every=LOG_EVERY,
            every=NEVER,
            play=lambda: Episodes(np.zeros(1), np.zeros(1)),
            film_every=NEVER,
            film=lambda: None,
            begin=lambda: None,
            safe_point=self._between_rounds,
        )
        self.reporter.next_log = MIDDLE + LOG_EVERY
        self.rounds = 0
        self.until = 0.0
        while agent._n_updates == 0:  # what is built at first use is not part of a turn
            self(0)

    def __call__(self, seconds: float) -> Timing:
        """Learn for about `seconds`: until the end of the round of collecting and learning in which they pass."""
        before, steps = dict(self.agent.stopwatch.seconds), self.agent.num_timesteps
        self.rounds, self.until = 0, perf_counter() + seconds
        with suppress(_TurnOver):
            self.agent.learn(MIDDLE, callback=self.reporter, log_interval=None, reset_num_timesteps=False)  # type: ignore[arg-type]
        return Timing(self.agent.num_timesteps - steps, self.agent.stopwatch.since(before))

    def _between_rounds(self) -> None:
        if self.rounds and perf_counter() >= self.until:
            raise _TurnOver
        self.rounds += 1


def other_vectorizations(settings: EnvSettings, current: str) -> list[Alternative]:
    """Return the other ways to step the copies. Their number is not among them: it changes the algorithm."""
    found = []
    with suppress(ConfigError):
        if current != "native":
            replace(settings, vectorization="native").plan()  # which says whether there is one
            found.append(Alternative("env.vectorization=native", "the episodes begin from other seeds"))
    with suppress(ConfigError):
        if current != "tensors":
            replace(settings, vectorization="tensors").plan()
            found.append(Alternative("env.vectorization=tensors", "the episodes begin from other seeds"))
    for way in ("async", "sync"):
        if way != current and (way == "sync" or settings.num_envs > 1):
            remark = "the episodes begin from other seeds" if current in ("native", "tensors") else ""
            found.append(Alternative(f"env.vectorization={way}", remark))
    return found


def other_networks(agent: Agent) -> list[Alternative]:
    """Return one encoder in place of two, where a pass through it is costly."""
    space = agent.observation_space
    costly = isinstance(space, spaces.Dict) or is_image_space(space)
    if not costly or getattr(agent.policy, "share_features_extractor", True):
        return []
    return [Alternative("agent.share_encoder=true", "policy and value share one encoder: another network")]


class _TurnOver(Exception):  # noqa: N818  # no error
    """Leaves SB3's loop between two rounds."""
