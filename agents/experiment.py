"""The agent kind of experiment: an agent learns in an environment and is evaluated in fresh episodes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import torch
from stable_baselines3.common.logger import Logger

from agents.aside import compiled_aside
from agents.checkpoints import Checkpoints
from agents.compiled.hints import hints
from agents.core.agent import PARTS, Agent, AgentFactory
from agents.core.state import lacks, load_randomness, misfit
from agents.environments.settings import EnvSettings
from agents.evaluation.aside import FILM, SHORT_FILM, film_aside
from agents.evaluation.episodes import (
    EVALUATION,
    EvaluationSettings,
    announce_limit,
    episode_seeds,
    figures,
    play_episodes,
)
from agents.evaluation.together import Episodes
from agents.networks.distributions import require_actions
from agents.networks.extractor import input_spec
from agents.reporting import LOG_EVERY, SolvedError, TrackerWriter, TrainingReporter
from agents.trained import TrainedAgent
from agents.trial import Turns, other_networks, other_vectorizations
from lab.config.roles import Roles
from lab.config.types import PositiveInt
from lab.console.notices import notice
from lab.console.wording import count
from lab.data.base import DatasetInfo
from lab.encoders.files import save_encoder
from lab.errors import ConfigError
from lab.experiment import Alternative, Experiment, RunContext, State, Throughput, Turn
from lab.saving.checkpoint import Checkpoint
from lab.saving.saver import Cadence, CheckpointSettings, misplaced

SAVE_EVERY = 10_000  # environment steps, where the config does not say
BOUNDARY_EPISODES = 20  # episodes at least between two boundaries: each of them cuts the episodes short


class AgentExperiment(Experiment):
    """Trains an agent in a Gymnasium environment.

    Args:
        env: the environment.
        agent: the agent's class and settings; environments, seed and device come from the run.
        total_timesteps: environment steps to train for, over all copies together.
        evaluation: how it is evaluated.
        log_every: environment steps between two rows of training metrics; a rollout has one at most.
    """

    family = "agents"
    lengths = ("total_timesteps",)
    step = "env step"
    parts = PARTS
    roles = Roles(budget={"total_timesteps": "steps"}, indifferent=("log_every",))

    def __init__(
        self,
        *,
        env: EnvSettings,
        agent: AgentFactory,
        total_timesteps: PositiveInt,
        evaluation: EvaluationSettings = EVALUATION,
        log_every: PositiveInt = LOG_EVERY,
    ) -> None:
        self.env, self.agent_factory = env, agent
        self.total_timesteps, self.evaluation, self.log_every = total_timesteps, evaluation, log_every

    def prepare(self, seed: int, device: torch.device, *, fast_dev_run: bool = False) -> None:
        self.seed, self.fast_dev_run = seed, fast_dev_run
        observed, acted = self.env.spaces()
        input_spec(observed)  # both say what does not fit better than SB3 would
        require_actions(acted)
        self.env = self.env.with_own_generators()
        self.notes = self.env.notes()
        plan = self.env.plan()
        self.vectorization, self.method, self._inexact = plan
        environments = self.env.make_vec(seed, plan, device)
        self.agent: Agent = self.agent_factory(environments, seed, device)
        self.notes = [*self.notes, *self.agent.carried()]
        self.best_state: State = {}
        if fast_dev_run:
            self.evaluation = self.evaluation.shortened()
            self.agent.hurry()
            self.total_timesteps = self.agent.shortest_run
        self.eval_settings = self.env.limited(self.evaluation.longest)
        self.descriptions = {
            "eval/return_mean": f"mean undiscounted return of the final policy over {self.evaluation.episodes} "
            f"deterministic episodes on seeds of their own",
            "eval/return_std": "standard deviation of these returns over the episodes",
            "best/return_mean": "the same for the best policy of the run, which was chosen on other seeds",
            "eval/episode": "an episode of the final policy, which acts without chance",
            "best/episode": "the same episode of the best policy that the evaluations during training found",
            "latest/episode": "the beginning of an episode of the policy as it was at that step of training",
        }

    def cadence(self, wish: CheckpointSettings) -> Cadence:
        if wish.epochs:
            raise ConfigError("checkpoint.epochs: an agent's training has no epochs; set checkpoint.steps")
        if self.method != "boundary":
            return Cadence(1 if self.fast_dev_run else wish.steps or SAVE_EVERY)
        limit = self.env.max_episode_steps() or self.env.own_limit()
        longest = limit or self.evaluation.longest
        least = BOUNDARY_EPISODES * longest * self.env.num_envs
        if wish.steps and wish.steps < least:
            why = "" if limit else " (evaluation.max_steps, as the environment has no limit)"
            raise ConfigError(
                f"checkpoint.steps must be at least {least} where env.resume is boundary: each checkpoint ends the "
                f"episodes, which are up to {longest} steps long{why} in {self.env.num_envs} copies, "
                f"received {wish.steps}"
            )
        return Cadence(wish.steps or max(SAVE_EVERY, least), neutral=False)

    def misfit(self, restored: Checkpoint, changed: Collection[str]) -> str | None:
        if wrong := misplaced(restored, restored.state["agent"]["plain"]["num_timesteps"]):
            return wrong
        return misfit(self.agent, restored.state["agent"], restored.segments)

    def lacks(self, restored: Checkpoint) -> Sequence[str]:
        return lacks(self.agent, restored.state["agent"])

    def train(self, context: RunContext) -> Throughput:
        announce_limit(self.env, self.evaluation)
        restored = context.restored.state if context.restored else None
        start = restored["agent"]["plain"]["num_timesteps"] if restored else 0
        training = context.progress("training", self.total_timesteps, "steps", start=start)
        aside = compiled_aside(self.agent, context.dir / "config.yaml", start, self.total_timesteps)
        with training as progress, closing(self.agent.vec_env), aside:
            choose_on = episode_seeds(self.seed, "choose", self.evaluation.best_episodes)
            reporter = TrainingReporter(
                context.tracker,
                progress,
                every=self.evaluation.every,
                play=lambda: self._play(choose_on),
                stop_at=self.evaluation.stop_at,
                film_every=self.evaluation.video_every or -(-self.total_timesteps // 4),
                log_every=self.log_every,
                film=lambda: self._film(["latest/episode"], context, SHORT_FILM),
                begin=lambda: load_randomness(self.agent, restored["agent"]) if restored else None,
                safe_point=lambda: checkpoints.safe_point(context, reporter),
            )
            checkpoints = Checkpoints(self.agent, self.method)
            self.agent.set_logger(Logger(None, [TrackerWriter(context.tracker)]))
            if context.restored:
                strayed = checkpoints.restore(context.restored, reporter, context.changed)
                if strayed and self._inexact is None:
                    self._inexact = strayed
                    notice(f"{strayed}: this run does not end exactly as it would have")
            left = self.total_timesteps - self.agent.num_timesteps
            if left > 0 and not (reporter.solved and reporter.ended):
                try:
                    self.agent.learn(left, callback=reporter, log_interval=None, reset_num_timesteps=restored is None)  # type: ignore[arg-type]
                except SolvedError:
                    reporter.on_training_end()
                checkpoints.save(context, reporter)
            self.best_state = reporter.best_state
        used = len(self.agent.packages.used)
        return Throughput(self.agent.num_timesteps, "env steps", count(used, "compiled program") if used else "")

    def evaluate(self, context: RunContext) -> dict[str, float]:
        seeds = episode_seeds(self.seed, "judge", self.evaluation.episodes)
        final = best = self._play(seeds)
        if not self._best_is_final():
            with self._as_best():
                best = self._play(seeds)
        if self.eval_settings is not self.env and (cut := int((final.lengths >= self.evaluation.longest).sum())):
            told = f"{self.descriptions['eval/return_mean']}; {cut} cut off after {self.evaluation.longest:,} steps"
            self.descriptions = {**self.descriptions, "eval/return_mean": told}
        return figures("eval", final) | figures("best", best)

    def _play(self, seeds: Sequence[int]) -> Episodes:
        return play_episodes(self.agent, self.eval_settings, seeds, side_by_side=self.evaluation.num_envs)

    def draw(self, context: RunContext) -> None:
        self._film(["eval/episode", "best/episode"] if self._best_is_final() else ["eval/episode"], context, FILM)
        if not self._best_is_final():
            with self._as_best():
                self._film(["best/episode"], context, FILM)

    def _film(self, names: Sequence[str], context: RunContext, limit: int) -> None:
        if self.evaluation.video and self.env.renders():
            (seed,) = episode_seeds(self.seed, "judge", 1)
            if frames := film_aside(self.agent, self.eval_settings, seed, 10 if context.fast_dev_run else limit):
                at = min(self.agent.num_timesteps, self.total_timesteps)
                name, *more = names
                context.picture(name, frames, *more, axis="env_steps", at=at)

    def _best_is_final(self) -> bool:
        """Whether both policies have the same weights: then they play the same episodes."""
        final = self.agent.acting_policy.state_dict()
        # What was read from a checkpoint is on the CPU.
        return all(torch.equal(final[name], value.to(final[name].device)) for name, value in self.best_state.items())

    @contextmanager
    def _as_best(self) -> Iterator[None]:
        """Let the best policy act inside the block."""
        policy = self.agent.acting_policy
        final = {name: value.clone() for name, value in policy.state_dict().items()}
        policy.load_state_dict(self.best_state)
        try:
            yield
        finally:
            policy.load_state_dict(final)

    @property
    def trained(self) -> TrainedAgent:
        return TrainedAgent(self.agent, self.env, self.evaluation)

    @contextmanager
    def trial(self, context: RunContext) -> Iterator[Turn]:
        with closing(self.agent.vec_env):
            yield Turns(self.agent, context)

    def alternatives(self) -> Sequence[Alternative]:
        return [*other_vectorizations(self.env, self.vectorization), *other_networks(self.agent)]

    def hints(self, name: str) -> Sequence[str]:
        return hints(self.agent, name)

    def states(self) -> dict[str, State]:
        return {"final": dict(self.agent.acting_policy.state_dict()), "best": self.best_state}

    def load_states(self, states: Mapping[str, State]) -> None:
        self.best_state = states["best"]
        for state in (self.best_state, states["final"]):  # both must fit
            if state:
                self.agent.acting_policy.load_state_dict(state)

    @property
    def inexact(self) -> str | None:
        return self._inexact

    @property
    def dataset(self) -> DatasetInfo:
        """The environment stands where other experiments have a data set."""
        return DatasetInfo(self.env.id)

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        return {"encoder": partial(save_encoder, self.agent.encoder, trained_on=self.agent.trained_on)}
