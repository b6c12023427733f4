"""Deep Q-learning (Mnih et al. 2015)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from agents.acceleration.captured import Capture
from agents.acceleration.eager_adam import EagerAdam
from agents.buffers.replay import Replay
from agents.core.agent import evaluating, sb3_schedule
from agents.core.off_policy import OffPolicy
from agents.core.rolling import Rolling
from agents.core.targets import follow
from agents.dqn.batches import Following, Minibatch, minibatches
from agents.dqn.exploration import chances, epsilon_greedy
from agents.dqn.losses import q_targets, td_loss
from agents.environments.native import TensorEnvs
from agents.networks.extractor import EncoderExtractor, RecurrentState, running_norm
from agents.networks.normalization import RewardScale
from agents.networks.q_network import QPolicy
from agents.spaces.observations import Tensors, to_device
from lab.config.types import Fraction, NonNegativeInt, PositiveFloat, PositiveInt, Probability
from lab.encoders.base import Encoder, EncoderFactory
from lab.errors import ConfigError
from lab.training.optimization import CONSTANT, Schedule


class DQN(OffPolicy, stable_baselines3.DQN):
    """DQN with a target network, epsilon-greedy exploration and replay.

    Args:
        encoder: the trunk; one linear layer on it gives the Q-values. Built twice: online and target.
        net_arch: widths of further layers between trunk and Q-values.
        double: double Q-learning (van Hasselt et al. 2016).
        dueling: values of states and advantages of actions in streams of their own (Wang et al. 2016).
        n_steps: rewards summed before bootstrapping (Sutton & Barto 2018, chapter 7).
        prioritized_alpha: exponent of prioritized replay (Schaul et al. 2016), 0.6 in the paper; null for uniform.
        prioritized_beta: exponent of its importance weights at the start, from where it rises to 1 over the run.
        average: decay, per round of training, of the weight average that acts in evaluation (Polyak & Juditsky 1992);
            0 evaluates the last weights, which for DQN may be far from the typical ones.
        learning_rate: of Adam.
        learning_rate_schedule: over the whole run.
        buffer_size: transitions kept.
        learning_starts: steps of random play before training.
        batch_size: transitions per gradient step.
        tau: share of the online network taken over by the target network at each update.
        gamma: discount.
        train_freq: steps of each environment between rounds of training.
        gradient_steps: per round; -1: as many as environment steps.
        target_update_interval: environment steps between updates of the target network.
        exploration_fraction: of the run, over which epsilon falls to its final value.
        exploration_initial_eps: probability of a random action at the start.
        exploration_final_eps: the same at the end.
        max_grad_norm: largest norm of the gradient.
        normalize_observations: by their running mean and variance, which are part of the policy.
        normalize_rewards: by the running standard deviation of the return, sums over n steps within ±10; figures are of
            the true rewards.
        capture: `auto` repeats the tensor operations of acting and learning without Python on the CPU, by the programs
            of `lab compile` where there are any; `always` repeats them on a GPU too (CUDA graphs; not tried yet), and
            without these programs on the CPU; `never` runs plain PyTorch.
    """

    plain_state = (*OffPolicy.plain_state, "_n_calls", "exploration_rate")
    policy: QPolicy

    def __init__(
        self,
        env: VecEnv,
        seed: int,
        device: torch.device,
        *,
        encoder: EncoderFactory,
        net_arch: Sequence[PositiveInt] = (),
        double: bool = True,
        dueling: bool = False,
        n_steps: PositiveInt = 1,
        prioritized_alpha: Fraction | None = None,
        prioritized_beta: Fraction = 0.4,
        average: Probability = 0.0,
        learning_rate: PositiveFloat = 1e-4,
        learning_rate_schedule: Schedule = CONSTANT,
        buffer_size: PositiveInt = 1_000_000,
        learning_starts: NonNegativeInt = 100,
        batch_size: PositiveInt = 32,
        tau: Fraction = 1.0,
        gamma: Fraction = 0.99,
        train_freq: PositiveInt = 4,
        gradient_steps: int = 1,
        target_update_interval: PositiveInt = 10_000,
        exploration_fraction: Fraction = 0.1,
        exploration_initial_eps: Fraction = 1.0,
        exploration_final_eps: Fraction = 0.05,
        max_grad_norm: PositiveFloat = 10.0,
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
        capture: Capture = "auto",
    ) -> None:
        if gradient_steps == 0 or gradient_steps < -1:
            raise ConfigError(f"agent.gradient_steps must be at least 1, or -1, received {gradient_steps}")
        received = f"but this environment's action space is {env.action_space}"
        if not isinstance(env.action_space, spaces.Discrete):
            raise ConfigError(f"DQN needs discrete actions, {received}; PPO takes it")
        if env.action_space.start:
            raise ConfigError(f"DQN counts actions from 0, {received}")
        norm = running_norm(env.observation_space) if normalize_observations else None
        super().__init__(
            QPolicy,
            env,
            capture=capture,
            learning_rate=sb3_schedule(learning_rate, learning_rate_schedule),
            buffer_size=buffer_size,
            learning_starts=learning_starts,
            batch_size=batch_size,
            tau=tau,
            gamma=gamma,
            train_freq=train_freq,
            gradient_steps=gradient_steps,
            replay_buffer_class=Replay,
            replay_buffer_kwargs={"n_steps": n_steps, "gamma": gamma, "alpha": prioritized_alpha},
            target_update_interval=target_update_interval,
            exploration_fraction=exploration_fraction,
            exploration_initial_eps=exploration_initial_eps,
            exploration_final_eps=exploration_final_eps,
            max_grad_norm=max_grad_norm,
            policy_kwargs={
                "features_extractor_class": EncoderExtractor,
                "features_extractor_kwargs": {"encoder": encoder, "norm": norm},
                "net_arch": list(net_arch),
                "dueling": dueling,
                "optimizer_class": EagerAdam,
                "optimizer_kwargs": {"fused": True},
            },
            seed=seed,
            device=device,
        )
        if (extractor := self.policy.q_net.features_extractor).recurrent:
            raise ConfigError(
                f"DQN's encoder sees single observations, received {type(extractor.encoder).__name__}; PPO takes it"
            )
        self.double, self.average, self.beta, self.n_steps = double, average, prioritized_beta, n_steps
        self.reward_scale = RewardScale(env.num_envs, gamma) if normalize_rewards else None
        self.averaged_policy = copy.deepcopy(self.policy) if average else self.policy
        self.target_behind = True  # whether the online network has changed since the target network took it over
        self.choose = self.accelerate(self._choose)
        if isinstance(env, TensorEnvs) and type(self).exploration is DQN.exploration:  # a subclass may have its own
            self.rolling = Rolling(self, self._explore)
        self.next_values = self.accelerate(self.policy.next_values, "values of the target network")
        self.descent = self.make_descent(self.loss, self.policy.optimizer, max_grad_norm)

    def loss(self, batch: Minibatch) -> Sequence[Tensor]:
        """Return the loss, a scalar; temporal difference errors `(B,)`; and Q-values `(B, A)`."""
        q_net = self.policy.q_net
        q_values = q_net.values(batch.observations)  # Q(s, .), (B, A)
        taken = q_values.gather(1, batch.actions[:, None]).squeeze(1)  # Q(s, a), (B,)
        targets = batch.targets if batch.following is None else self._double_targets(batch.following)  # y, (B,)
        assert targets is not None
        errors = taken - targets
        return td_loss(errors, batch.weights), errors, q_values

    @torch.no_grad()
    def _double_targets(self, after: Following) -> Tensor:
        """Return targets `(B,)` for which the online network chooses the next action."""
        q_net = self.policy.q_net
        q_net.train(False)  # as the target network is: no dropout, no part in a batch norm's statistics
        chooser = q_net.values(after.observations)
        q_net.train(True)
        return q_targets(chooser, after.values, after.rewards, after.discounts)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Learn for a round of `gradient_steps` steps, each on a batch from the replay buffer."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        self.descent.renew(self.double)
        drawn = minibatches(
            self.replay_buffer,
            self.next_values,
            gradient_steps,
            batch_size,
            beta=1 - (1 - self.beta) * self._current_progress_remaining,
            reward_factor=self.reward_scale.factor if self.reward_scale is not None else None,
            double=self.double,
        )
        for figures in self.descent.along(((x,) for x in drawn), singly=self.replay_buffer.priorities is not None):
            if self.replay_buffer.priorities is not None:
                self.replay_buffer.update_priorities(figures[0])
        self.descent.require_finite()
        self._n_updates += gradient_steps
        self.target_behind = True
        if self.average:
            follow(self.averaged_policy.q_net, self.policy.q_net, 1 - self.average)
        self._record(*figures)
        self.stopwatch.lap("learning")

    def exploration(self, count: int) -> Callable[[int, Any], np.ndarray[Any, Any]]:
        """Explore epsilon-greedily, and at random before learning starts."""
        return epsilon_greedy(self, count)

    def chances(self, count: int) -> Sequence[np.ndarray[Any, Any]]:
        return chances(self, count)

    def _explore(self, observations: Tensors, greedy: Tensor, anything: Tensor) -> Sequence[Tensor]:
        """Return actions `(B,)` for the `chances` `(B,)` of a step."""
        return (torch.where(greedy, self._choose(observations)[0], anything),)

    def _choose(self, observations: Tensors) -> Sequence[Tensor]:
        """Return the actions `(B,)` of the highest values."""
        with torch.no_grad():
            return (self.policy.q_net.values(observations).argmax(1),)

    def _on_step(self) -> None:
        """Follow SB3's schedule of the target network and of epsilon."""
        self._n_calls += 1
        if self._n_calls % max(self.target_update_interval // self.n_envs, 1) == 0 and self.target_behind:
            follow(self.policy.q_net_target, self.policy.q_net, self.tau)
            self.target_behind = self.tau < 1  # nothing changes until the next round of training
        self.exploration_rate = self.exploration_schedule(self._current_progress_remaining)

    @torch.no_grad()
    def act(self, observations: Any, memory: RecurrentState | None = None) -> tuple[Any, RecurrentState | None]:
        evaluating(self.acting_policy)
        return self.acting_policy.q_net.values(to_device(observations, self.device)).argmax(1).cpu().numpy(), None

    @property
    def acting_policy(self) -> QPolicy:
        return self.averaged_policy

    @property
    def learned_modules(self) -> dict[str, nn.Module]:
        return {"policy": self.policy, **({"averaged_policy": self.averaged_policy} if self.average else {})}

    @property
    def encoder(self) -> Encoder:
        return self.acting_policy.q_net.features_extractor.encoder

    def _record(self, errors: Tensor, q_values: Tensor) -> None:
        """Record figures of the last batch, and the mean norm of the gradients."""
        self.logger.record("train/td_error", float(errors.abs().mean()))
        self.logger.record("train/q_value", float(q_values.mean()))
        self.logger.record("train/grad_norm", self.descent.mean_norm())
        self.logger.record("train/n_updates", self._n_updates)
        self.logger.record("rollout/exploration_rate", self.exploration_rate)
