"""From SB3's callbacks and logger to the lab's tracker and progress bar; also keeps the best policy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

from agents.agent import Agent
from agents.evaluation import Episodes
from lab.errors import DivergedError
from lab.experiment import State
from lab.progress import Progress
from lab.tracking.base import Tracker

LOG_EVERY = 1_000  # environment steps
KEPT = ("next_log", "next_evaluation", "best_return", "best_state")


class TrackerWriter(KVWriter):
    """SB3's logger writes here; every row goes to the tracker on the axis of environment steps."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        metrics = {k: float(v) for k, v in key_values.items() if isinstance(v, int | float | np.number)}
        for name, value in metrics.items():
            if name.startswith("train/") and not math.isfinite(value) and name != "train/explained_variance":
                raise DivergedError(f"{name} became {value} at step {step}")
        if metrics:
            self.tracker.log(metrics, axis="env_steps", at=step)

    def close(self) -> None:
        """Nothing to do: the runner owns the tracker."""


class Reporter(BaseCallback):
    """Between rollouts, when the agent is in one piece: log, show progress, and now and then look for the best policy.

    Args:
        every: steps between two evaluations.
        play: evaluates the acting policy on the seeds that choose the best.
        begin: called once before all else when training begins, with the agent's generators still untouched.
        safe_point: called last at each of these places.
    """

    def __init__(
        self,
        tracker: Tracker,
        progress: Progress,
        *,
        every: int,
        play: Callable[[], Episodes],
        begin: Callable[[], None],
        safe_point: Callable[[], None],
    ) -> None:
        super().__init__()
        self.tracker, self.progress, self.every, self.play = tracker, progress, every, play
        self.begin, self.safe_point = begin, safe_point
        self.next_log, self.next_evaluation = LOG_EVERY, every
        self.best_return, self.best_state = -math.inf, cast(State, {})
        self.first = True

    def state_dict(self) -> dict[str, Any]:
        """Return what must survive an interruption."""
        return {name: getattr(self, name) for name in KEPT}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        for name in KEPT:
            setattr(self, name, state[name])

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.first:
            self.first = False
            self.begin()
        if self.num_timesteps >= self.next_log:
            self._log()
            self.next_log = self.num_timesteps + LOG_EVERY
        if self.num_timesteps >= self.next_evaluation:
            self._evaluate()
            self.next_evaluation += self.every
        if self.progress.due:
            self.progress.update(self.num_timesteps, self._recent())
        self.safe_point()

    def _on_training_end(self) -> None:
        self._log()
        self._evaluate()

    def _recent(self) -> dict[str, float]:
        """Mean return and length of the last 100 training episodes."""
        episodes = self.model.ep_info_buffer
        if not episodes:
            return {}
        return {
            "rollout/return_mean": float(np.mean([e["r"] for e in episodes])),
            "rollout/length_mean": float(np.mean([e["l"] for e in episodes])),
        }

    def _log(self) -> None:
        for name, value in self._recent().items():
            self.logger.record(name, value)
        self.logger.dump(self.num_timesteps)

    def _evaluate(self) -> None:
        returns = self.play().returns
        self.tracker.log(
            {"eval/return_mean": float(returns.mean()), "eval/return_std": float(returns.std())},
            axis="env_steps",
            at=self.num_timesteps,
        )
        if returns.mean() > self.best_return:
            self.best_return = float(returns.mean())
            policy = cast(Agent, self.model).acting_policy
            self.best_state = {name: value.detach().clone() for name, value in policy.state_dict().items()}
