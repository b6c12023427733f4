"""The agent kind of experiment: an agent learns in an environment and is evaluated in fresh episodes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.logger import Logger

from agents.agent import Agent, AgentFactory
from agents.environments import EnvSettings
from agents.evaluation import Episodes, film, play_episodes
from agents.extractor import input_spec
from agents.reporting import Reporter, TrackerWriter
from agents.state import agent_state, load_agent_state, load_pending_rows, load_randomness, load_replay, replay_rows
from lab.data.base import DatasetInfo
from lab.divergence import require_finite_gradients
from lab.encoders.base import Encoder
from lab.errors import CheckpointError, ConfigError
from lab.experiment import Experiment, RunContext, State, Throughput
from lab.progress import notice
from lab.saving import Cadence, CheckpointSettings, Rows
from lab.settings import PositiveInt

SAVE_EVERY = 10_000  # environment steps, where the config does not say
BOUNDARY_EPISODES = 20  # episodes at least between two boundaries: each of them cuts the episodes short


@dataclass(frozen=True)
class EvaluationSettings:
    """How the agent is judged, always by deterministic episodes.

    Args:
        episodes: of the final policy, and of the best one, on seeds that training never saw.
        every: steps between the evaluations that choose the best policy.
        best_episodes: episodes of each of these, on seeds of their own.
        video: film one episode of the final policy where the environment can be drawn.
    """

    episodes: PositiveInt = 100
    every: PositiveInt = 10_000
    best_episodes: PositiveInt = 10
    video: bool = True


class AgentExperiment(Experiment):
    """Trains an agent in a Gymnasium environment.

    Args:
        env: the environment.
        agent: the agent's class and settings; environments, seed and device come from the run.
        total_timesteps: environment steps to train for, over all copies together.
        evaluation: how it is judged.
    """

    family = "agents"
    length = "total_timesteps"

    def __init__(
        self,
        *,
        env: EnvSettings,
        agent: AgentFactory,
        total_timesteps: PositiveInt,
        evaluation: EvaluationSettings = EvaluationSettings(),
    ) -> None:
        self.env, self.agent_factory = env, agent
        self.total_timesteps, self.evaluation = total_timesteps, evaluation

    def prepare(self, seed: int, device: torch.device, *, fast_dev_run: bool = False) -> None:
        self.seed, self.fast_dev_run = seed, fast_dev_run
        self.method, self._inexact = self.env.method()
        environments = self.env.make_vec(seed, self.method)
        input_spec(environments.observation_space)  # says what cannot be encoded better than SB3 would
        self.agent: Agent = self.agent_factory(environments, seed, device)
        self.best_state: State = {}
        self.rows_saved = 0
        self.episodes = 2 if fast_dev_run else self.evaluation.episodes
        if fast_dev_run:
            self.total_timesteps = self.agent.shortest_run
        self.descriptions = {
            "eval/return_mean": f"mean undiscounted return of the final policy over {self.episodes} deterministic "
            "episodes on seeds of their own",
            "eval/return_std": "standard deviation of these returns over the episodes",
            "best/return_mean": "the same for the best policy of the run, which was chosen on other seeds",
        }

    def cadence(self, wish: CheckpointSettings) -> Cadence:
        if wish.epochs:
            raise ConfigError("checkpoint.epochs: an agent's training has no epochs; set checkpoint.steps")
        if self.method != "boundary":
            return Cadence(1 if self.fast_dev_run else wish.steps or SAVE_EVERY)
        longest = self.env.max_episode_steps() or 0
        least = BOUNDARY_EPISODES * longest * self.env.num_envs
        if wish.steps and wish.steps < least:
            raise ConfigError(
                f"checkpoint.steps must be at least {least} where env.resume is boundary: each checkpoint ends the "
                f"episodes, which are up to {longest} steps long in {self.env.num_envs} copies, received {wish.steps}"
            )
        return Cadence(wish.steps or max(SAVE_EVERY, least), neutral=False)

    def train(self, context: RunContext) -> Throughput:
        restored = context.restored.state if context.restored else None
        start = restored["agent"]["plain"]["num_timesteps"] if restored else 0
        training = context.progress("training", self.total_timesteps, "steps", start=start)
        with training as progress, closing(self.agent.vec_env):
            choose_on = episode_seeds(self.seed, "choose", self.evaluation.best_episodes)
            reporter = Reporter(
                context.tracker,
                progress,
                every=self.evaluation.every,
                play=lambda: play_episodes(self.agent, self.env, choose_on),
                begin=lambda: load_randomness(self.agent, restored["agent"]) if restored else None,
                safe_point=lambda: self._safe_point(context, reporter),
            )
            self.agent.set_logger(Logger(None, [TrackerWriter(context.tracker)]))
            if context.device.type == "cpu":  # elsewhere each look is a wait
                self.agent.policy.optimizer.register_step_pre_hook(self._watch_gradient)
            if restored:
                try:
                    self._restore(reporter, restored, context)
                except (RuntimeError, KeyError, IndexError, ValueError, AttributeError) as error:
                    reason = " ".join(str(error).split())[:160]
                    raise CheckpointError(f"the checkpoint does not fit the settings: {reason}") from error
            left = self.total_timesteps - self.agent.num_timesteps
            if left > 0:
                self.agent.learn(left, callback=reporter, log_interval=None, reset_num_timesteps=restored is None)  # type: ignore[arg-type]
                self._save(context, reporter)
            self.best_state = reporter.best_state
        return Throughput(self.agent.num_timesteps, "env steps")

    def _safe_point(self, context: RunContext, reporter: Reporter) -> None:
        assert context.saver is not None
        if self.method == "boundary" and context.saver.due(self.agent.num_timesteps):
            self.agent.begin_episodes()
        context.saver.safe_point(self.agent.num_timesteps, *self._state(reporter))

    def _save(self, context: RunContext, reporter: Reporter) -> None:
        assert context.saver is not None
        context.saver.save(self.agent.num_timesteps, *self._state(reporter))

    def _state(self, reporter: Reporter) -> tuple[Callable[[], Any], Callable[[], Rows] | None]:
        def state() -> dict[str, Any]:
            return {"agent": agent_state(self.agent), "reporter": reporter.state_dict()}

        def rows() -> Rows:
            assert self.agent.replay is not None
            before, self.rows_saved = self.rows_saved, self.agent.rows_added
            return replay_rows(self.agent.replay, before, self.rows_saved)

        return state, rows if self.agent.replay else None

    def _restore(self, reporter: Reporter, state: dict[str, Any], context: RunContext) -> None:
        assert context.restored is not None
        reporter.load_state_dict(state["reporter"])
        if strayed := load_agent_state(self.agent, state["agent"]):
            self._inexact = f"environments {', '.join(map(str, strayed))} did not come back to where they were"
            notice(f"{self._inexact}: this run does not end exactly as it would have")
        load_pending_rows(self.agent, state["agent"]["logged"])
        if self.agent.replay:
            self.rows_saved = self.agent.rows_added
            load_replay(self.agent.replay, context.restored.segments, self.rows_saved)
        if self.method == "none":
            self.agent.begin_episodes()

    def _watch_gradient(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        require_finite_gradients(optimizer, f"the update after step {self.agent.num_timesteps:,}")

    def evaluate(self, context: RunContext) -> dict[str, float]:
        seeds = episode_seeds(self.seed, "judge", self.episodes)
        final = {name: value.clone() for name, value in self.agent.acting_policy.state_dict().items()}
        metrics = _figures("eval", play_episodes(self.agent, self.env, seeds))
        self.agent.acting_policy.load_state_dict(self.best_state)
        metrics |= _figures("best", play_episodes(self.agent, self.env, seeds))
        self.agent.acting_policy.load_state_dict(final)
        return metrics

    def draw(self, context: RunContext) -> None:
        if self.evaluation.video and self.env.renders():
            (seed,) = episode_seeds(self.seed, "judge", 1)
            frames = film(self.agent, self.env, seed, limit=10 if context.fast_dev_run else 250)
            context.picture("eval/episode", frames, axis="env_steps", at=self.total_timesteps)

    def states(self) -> dict[str, State]:
        return {"final": dict(self.agent.acting_policy.state_dict()), "best": self.best_state}

    def load_states(self, states: dict[str, State]) -> None:
        self.agent.acting_policy.load_state_dict(states["final"])
        self.best_state = states["best"]

    @property
    def inexact(self) -> str | None:
        return self._inexact

    @property
    def dataset(self) -> DatasetInfo:
        """The environment stands where other experiments have a data set."""
        return DatasetInfo(self.env.id)

    @property
    def encoder(self) -> Encoder:
        return self.agent.encoder


def episode_seeds(seed: int, purpose: str, count: int) -> list[int]:
    """Return seeds for `count` episodes; different purposes and runs never share them, nor those of training."""
    entropy = [seed, *purpose.encode()]
    return [int(s) for s in np.random.SeedSequence(entropy).generate_state(count)]


def _figures(group: str, episodes: Episodes) -> dict[str, float]:
    return {
        f"{group}/return_mean": float(episodes.returns.mean()),
        f"{group}/return_std": float(episodes.returns.std()),
        f"{group}/length_mean": float(episodes.lengths.mean()),
    }
