"""Deep Q-learning (Mnih et al. 2015), SB3's loop with the lab's encoder, double Q and an averaged policy."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import stable_baselines3
import torch
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv
from torch import nn
from torch.nn.utils import clip_grad_norm_

from agents.agent import Agent, encoder_of, sb3_schedule
from agents.extractor import EncoderExtractor
from agents.losses import q_targets
from lab.encoders.base import Encoder, EncoderFactory
from lab.errors import ConfigError
from lab.optimization import CONSTANT, Schedule
from lab.settings import Fraction, NonNegativeInt, PositiveFloat, PositiveInt, Probability


class DQN(Agent, stable_baselines3.DQN):
    """DQN with a target network, epsilon-greedy exploration and uniform replay.

    Args:
        encoder: the trunk; one linear layer on it gives the Q-values. Built twice: online and target.
        net_arch: widths of further layers between trunk and Q-values.
        double: double Q-learning (van Hasselt et al. 2016).
        n_steps: rewards summed before bootstrapping (Sutton & Barto 2018, chapter 7).
        average: decay, per round of training, of the weight average that acts in evaluation (Polyak & Juditsky 1992);
            0 evaluates the last weights, which for DQN may be far from the typical ones.
        learning_rate: of Adam.
        learning_rate_schedule: over the whole run.
        buffer_size: transitions kept.
        learning_starts: steps of random play before training.
        batch_size: transitions per gradient step.
        tau: share of the online network taken over by the target network at each update.
        gamma: discount.
        train_freq: steps between rounds of training.
        gradient_steps: per round.
        target_update_interval: steps between updates of the target network.
        exploration_fraction: of the run, over which epsilon falls to its final value.
        exploration_initial_eps: probability of a random action at the start.
        exploration_final_eps: the same at the end.
        max_grad_norm: largest norm of the gradient.
    """

    def __init__(
        self,
        env: VecEnv,
        seed: int,
        device: torch.device,
        *,
        encoder: EncoderFactory,
        net_arch: Sequence[PositiveInt] = (),
        double: bool = True,
        n_steps: PositiveInt = 1,
        average: Probability = 0.0,
        learning_rate: PositiveFloat = 1e-4,
        learning_rate_schedule: Schedule = CONSTANT,
        buffer_size: PositiveInt = 1_000_000,
        learning_starts: NonNegativeInt = 100,
        batch_size: PositiveInt = 32,
        tau: Fraction = 1.0,
        gamma: Fraction = 0.99,
        train_freq: PositiveInt = 4,
        gradient_steps: PositiveInt = 1,
        target_update_interval: PositiveInt = 10_000,
        exploration_fraction: Fraction = 0.1,
        exploration_initial_eps: Fraction = 1.0,
        exploration_final_eps: Fraction = 0.05,
        max_grad_norm: PositiveFloat = 10.0,
    ) -> None:
        if not isinstance(env.action_space, spaces.Discrete):
            raise ConfigError(
                f"DQN needs discrete actions, but this environment's action space is {env.action_space}; PPO takes it"
            )
        super().__init__(
            "MlpPolicy",
            env,
            learning_rate=sb3_schedule(learning_rate, learning_rate_schedule),
            buffer_size=buffer_size,
            learning_starts=learning_starts,
            batch_size=batch_size,
            tau=tau,
            gamma=gamma,
            train_freq=train_freq,
            gradient_steps=gradient_steps,
            n_steps=n_steps,
            target_update_interval=target_update_interval,
            exploration_fraction=exploration_fraction,
            exploration_initial_eps=exploration_initial_eps,
            exploration_final_eps=exploration_final_eps,
            max_grad_norm=max_grad_norm,
            policy_kwargs={
                "features_extractor_class": EncoderExtractor,
                "features_extractor_kwargs": {"encoder": encoder},
                "net_arch": list(net_arch),
            },
            seed=seed,
            device=device,
        )
        self.double, self.average = double, average
        self.averaged_policy = copy.deepcopy(self.policy) if average else self.policy

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """One round: `gradient_steps` steps on batches from the replay buffer, then the weight average follows."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        parameters = list(self.q_net.parameters())
        losses = []
        for _ in range(gradient_steps):
            data = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)  # type: ignore[union-attr]
            with torch.no_grad():
                targets = q_targets(
                    self.q_net(data.next_observations) if self.double else data.next_observations,
                    self.q_net_target(data.next_observations),
                    data.rewards,
                    data.dones,
                    self.gamma if data.discounts is None else data.discounts,
                    double=self.double,
                )
            values = self.q_net(data.observations).gather(1, data.actions.long())
            loss = F.smooth_l1_loss(values, targets)
            self.policy.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            clip_grad_norm_(parameters, self.max_grad_norm)
            self.policy.optimizer.step()
            losses.append(loss.detach())
        self._n_updates += gradient_steps
        if self.average:
            with torch.no_grad():
                for mean, now in zip(self.averaged_policy.parameters(), self.policy.parameters(), strict=True):
                    mean.lerp_(now, 1 - self.average)
                for kept, new in zip(self.averaged_policy.buffers(), self.policy.buffers(), strict=True):
                    kept.copy_(new)  # a batch norm's statistics
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", torch.stack(losses).mean().item())
        self.logger.record("train/q_value", values.mean().item())

    @property
    def acting_policy(self) -> BasePolicy:
        return self.averaged_policy

    @property
    def learned_modules(self) -> dict[str, nn.Module]:
        averaged = {"averaged_policy": self.averaged_policy} if self.average else {}
        return {"policy": self.policy, **averaged}

    @property
    def encoder(self) -> Encoder:
        return encoder_of(self.averaged_policy.q_net.features_extractor)

    @property
    def shortest_run(self) -> int:
        return self.learning_starts + 2 * int(self.train_freq.frequency) * self.n_envs  # type: ignore[union-attr]
