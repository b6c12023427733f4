"""The agent kind of experiment: an agent learns in an environment and is evaluated in fresh episodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from stable_baselines3.common.logger import Logger

from agents.agent import Agent, AgentFactory
from agents.environments import EnvSettings
from agents.evaluation import Episodes, film, play_episodes
from agents.extractor import input_spec
from agents.reporting import Reporter, TrackerWriter
from lab.data.base import DatasetInfo
from lab.encoders.base import Encoder
from lab.experiment import Experiment, RunContext, State, Throughput
from lab.settings import PositiveInt


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
        self.seed = seed
        environments = self.env.make_vec()
        input_spec(environments.observation_space)  # says what cannot be encoded better than SB3 would
        self.agent: Agent = self.agent_factory(environments, seed, device)
        self.best_state: State = {}
        self.episodes = 2 if fast_dev_run else self.evaluation.episodes
        if fast_dev_run:
            self.total_timesteps = self.agent.shortest_run
        self.descriptions = {
            "eval/return_mean": f"mean undiscounted return of the final policy over {self.episodes} deterministic "
            "episodes on seeds of their own",
            "eval/return_std": "standard deviation of these returns over the episodes",
            "best/return_mean": "the same for the best policy of the run, which was chosen on other seeds",
        }

    def train(self, context: RunContext) -> Throughput:
        with context.progress("training", self.total_timesteps, "steps") as progress:
            choose_on = episode_seeds(self.seed, "choose", self.evaluation.best_episodes)
            reporter = Reporter(
                context.tracker,
                progress,
                every=self.evaluation.every,
                play=lambda: play_episodes(self.agent, self.env, choose_on),
            )
            self.agent.set_logger(Logger(None, [TrackerWriter(context.tracker)]))
            self.agent.learn(self.total_timesteps, callback=reporter, log_interval=None)  # type: ignore[arg-type]
            self.best_state = reporter.best_state
        self.agent.get_env().close()  # type: ignore[union-attr]
        return Throughput(self.agent.num_timesteps, "env steps")

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
