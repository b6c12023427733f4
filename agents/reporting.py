"""Connects SB3's callbacks and logger to the lab's tracker and progress bar, and keeps the best policy."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, cast

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

from agents.core.agent import Agent
from agents.evaluation.together import Episodes
from lab.console.progress import Progress
from lab.errors import DivergedError
from lab.experiment import State
from lab.statistics import spread
from lab.tracking.base import Tracker

LOG_EVERY = 1_000  # environment steps, where the config does not say
KEPT = ("solved", "ended", "next_log", "next_evaluation", "next_film", "best_return", "best_state")


class TrackerWriter(KVWriter):
    """Receives rows from SB3's logger and sends them to the tracker, by environment steps."""

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
        """Do nothing: the runner owns the tracker."""


class SolvedError(Exception):
    """Ends training between two rollouts, where it can be continued from. SB3 can only end it within a rollout."""


class TrainingReporter(BaseCallback):
    """Between rollouts: logs, shows progress, evaluates regularly and keeps the best policy.

    A row has these figures, beside those that the agent records under `train/`:

    - `rollout/return_mean`, `_low` and `_high`, and the same of `rollout/length`: the mean of the last 100 training
      episodes, and its 95 % interval by Student's t, mean ± t(n - 1) s / sqrt(n). The policy changes between these
      episodes, so the interval says how well the mean is known, and not how good the latest policy is;
    - `speed/all`, environment steps per second since the row before, and `speed/environment`, `speed/inference`,
      `speed/learning` and `speed/logging`, the rate of each part if the others took no time: the smallest one limits
      the run, and 1 / all is the sum of 1 / part. Evaluating, filming and saving are not included. These are the only
      figures that depend on the clock, and `lab.saving.bitwise` leaves them out.

    Each evaluation has `eval/return_mean`, `_std` over its episodes, and `_low` and `_high` as above.

    Args:
        log_every: steps between two rows.
        every: steps between two evaluations.
        play: evaluates the acting policy on the seeds that choose the best.
        stop_at: mean return in an evaluation that ends training; None for never.
        film_every: steps between two films, each made after an evaluation.
        film: makes a film of the acting policy.
        begin: called once when training begins, before anything draws from the agent's random generators.
        safe_point: called last between rollouts.
    """

    def __init__(
        self,
        tracker: Tracker,
        progress: Progress,
        *,
        log_every: int,
        every: int,
        play: Callable[[], Episodes],
        stop_at: float | None = None,
        film_every: int,
        film: Callable[[], None],
        begin: Callable[[], None],
        safe_point: Callable[[], None],
    ) -> None:
        super().__init__()
        self.tracker, self.progress, self.every, self.play = tracker, progress, every, play
        self.film_every, self.film = film_every, film
        self.stop_at, self.solved, self.ended = stop_at, False, False
        self.begin, self.safe_point = begin, safe_point
        self.log_every = log_every
        self.next_log, self.next_evaluation, self.next_film = log_every, every, film_every
        self.best_return, self.best_state = -math.inf, cast(State, {})
        self.first = True

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {name: getattr(self, name) for name in KEPT}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for name in KEPT:
            setattr(self, name, state[name])

    def adapt(self, changed: Collection[str], done: int) -> None:
        """Go on with other settings than those that led to the restored state.

        Args:
            changed: dotted names of the settings that differ.
            done: steps so far.
        """
        if "evaluation.every" in changed:
            self.next_evaluation = (done // self.every + 1) * self.every
        if not {"evaluation.video_every", "total_timesteps"}.isdisjoint(changed):
            self.next_film = (done // self.film_every + 1) * self.film_every
        if "evaluation.stop_at" in changed:  # the next evaluation decides
            self.solved = False

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.first:
            self.first = False
            self.begin()
            self._look_at_the_clock()
            self._end_if_solved()
        clock = self.agent.stopwatch
        clock.start()
        if self.num_timesteps >= self.next_log:
            self._log()
            self.next_log = self.num_timesteps + self.log_every
        if self.progress.due:
            shown = {name: value for name, value in self._recent().items() if name.endswith("_mean")}
            self.progress.update(self.num_timesteps, shown)
        clock.lap("logging")  # the rest belongs to none of the four parts; the agent starts the next lap itself
        if self.num_timesteps >= self.next_evaluation:
            self._evaluate()
            self.next_evaluation += self.every
            if self.num_timesteps >= self.next_film:
                self.film()
                self.next_film += self.film_every
        self.safe_point()
        self._end_if_solved()

    def _end_if_solved(self) -> None:
        if self.solved:
            raise SolvedError

    def _on_training_start(self) -> None:
        self.ended = False

    def _on_training_end(self) -> None:
        self.ended = True
        self._log()
        self._evaluate()

    @property
    def agent(self) -> Agent:
        """The agent that learns."""
        return cast(Agent, self.model)

    def _recent(self) -> dict[str, float]:
        """Return and length of the last 100 training episodes."""
        episodes = self.agent.ep_info_buffer
        if not episodes:
            return {}
        returns, lengths = [e["r"] for e in episodes], [e["l"] for e in episodes]
        return _with_interval("rollout/return", returns) | _with_interval("rollout/length", lengths)

    def _log(self) -> None:
        for name, value in {**self._recent(), **self._speed()}.items():
            self.logger.record(name, value)
        self.logger.dump(self.num_timesteps)

    def _speed(self) -> dict[str, float]:
        """Return steps per second since the last call, for the parts that took any time."""
        seconds = self.agent.stopwatch.since(self.clock_then)
        steps = self.num_timesteps - self.steps_then
        self._look_at_the_clock()
        rates = {"speed/all": sum(seconds.values())} | {f"speed/{part}": spent for part, spent in seconds.items()}
        return {name: steps / spent for name, spent in rates.items() if steps and spent}

    def _look_at_the_clock(self) -> None:
        self.clock_then, self.steps_then = dict(self.agent.stopwatch.seconds), self.num_timesteps

    def _evaluate(self) -> None:
        returns = self.play().returns
        figures = _with_interval("eval/return", returns.tolist()) | {"eval/return_std": float(returns.std())}
        self.tracker.log(figures, axis="env_steps", at=self.num_timesteps)
        self.solved = self.stop_at is not None and float(returns.mean()) >= self.stop_at
        if returns.mean() > self.best_return:
            self.best_return = float(returns.mean())
            policy = self.agent.acting_policy
            self.best_state = {name: value.detach().clone() for name, value in policy.state_dict().items()}


def _with_interval(name: str, values: Sequence[float]) -> dict[str, float]:
    """Return the mean of the values and, from two values on, its 95 % interval."""
    found = spread(values)
    if found.low is None or found.high is None:
        return {f"{name}_mean": found.mean}
    return {f"{name}_mean": found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
