"""Deep Q-learning (Mnih et al. 2015): settings and learning."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from agents.acceleration.captured import Capture, Captured
from agents.acceleration.lean_adam import LeanAdam
from agents.buffers.replay import Replay
from agents.core.agent import sb3_schedule
from agents.core.off_policy import OffPolicy
from agents.dqn.losses import huber_derivative, q_targets
from agents.networks.extractor import EncoderExtractor, running_norm
from agents.networks.normalization import RewardScale
from agents.networks.q_network import QPolicy
from agents.spaces.observations import Tensors, at
from lab.config.types import Fraction, NonNegativeInt, PositiveFloat, PositiveInt, Probability
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from lab.training.optimization import CONSTANT, Schedule

AT_ONCE = 1024
"""Transitions that are drawn, and sent through the target network, at once: it does not change in a round."""


class DQN(OffPolicy):
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
        capture: repeat the tensor operations of acting and learning without Python once they are known, on the CPU;
            `always` on a GPU too (CUDA graphs; not tried yet), `never` for an encoder whose Python changes its ways.
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
        if not isinstance(env.action_space, spaces.Discrete):
            raise ConfigError(
                f"DQN needs discrete actions, but this environment's action space is {env.action_space}; PPO takes it"
            )
        if env.action_space.start:
            raise ConfigError(f"DQN counts actions from 0, but this environment's action space is {env.action_space}")
        super().__init__(
            QPolicy,
            env,
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
                "features_extractor_kwargs": {
                    "encoder": encoder,
                    "norm": running_norm(env.observation_space) if normalize_observations else None,
                },
                "net_arch": list(net_arch),
                "dueling": dueling,
                "optimizer_class": LeanAdam,
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
        self.choose, self.gradients, self.double_targets = (
            Captured(function, self.policy, device, capture)
            for function in (self._choose, self._gradients, self._double_targets)
        )

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """One round: `gradient_steps` steps on batches from the replay buffer, then the weight average follows."""
        self.policy.set_training_mode(True)
        self.policy.optimizer.renew()
        self.gradients.renew()
        if self.double:
            self.double_targets.renew()
        self._update_learning_rate(self.policy.optimizer)
        self.norms: list[Tensor] = []
        self.figures: list[Tensor] = []
        # With priorities each batch depends on the one before it.
        at_once = 1 if self.replay_buffer.priorities else max(1, AT_ONCE // batch_size)
        for done in range(0, gradient_steps, at_once):
            self._learn_from(min(at_once, gradient_steps - done), batch_size)
        self.require_finite(*self.norms)
        self._n_updates += gradient_steps
        self.target_behind = True
        if self.average:
            self._follow()
        self._record()
        self.stopwatch.lap("learning")

    def _learn_from(self, count: int, size: int) -> None:
        """`count` gradient steps on batches of `size` that are drawn together."""
        optimizer = self.policy.optimizer
        beta = 1 - (1 - self.beta) * self._current_progress_remaining
        drawn = self.replay_buffer.sample(count * size, beta)
        if self.reward_scale is not None:
            drawn = drawn._replace(rewards=(drawn.rewards * self.reward_scale.factor).clamp(-10, 10))
        with torch.no_grad():
            next_values = self.policy.q_net_target.values(drawn.next_observations)
            targets = q_targets(None, next_values, drawn.rewards, drawn.discounts)
        for i in range(count):
            part = slice(i * size, (i + 1) * size)
            wanted = targets[part]
            if self.double:
                following = at(drawn.next_observations, part), next_values[part]
                (wanted,) = self.double_targets(*following, drawn.rewards[part], drawn.discounts[part])
            weights = () if drawn.weights is None else (drawn.weights[part],)
            inputs = at(drawn.observations, part), drawn.actions[part], wanted, *weights
            errors, values, norm, *gradients = self.gradients(*inputs)
            self.norms.append(norm.clone())
            optimizer.descend(norm, gradients, self.max_grad_norm, self.name_place)
            if self.replay_buffer.priorities is not None:
                self.replay_buffer.update_priorities(drawn.slots[part], errors)
        self.figures.append(torch.stack((errors.abs().mean(), values.mean())))

    def _gradients(
        self, observations: Tensors, actions: Tensor, targets: Tensor, weights: Tensor | None = None
    ) -> Sequence[Tensor]:
        """Return temporal difference errors `(B,)`, Q-values `(B, A)`, and the gradient's norm and parts."""
        values = self.policy.q_net.values(observations)
        chosen = actions[:, None]
        with torch.no_grad():
            errors = values.gather(1, chosen).squeeze(1) - targets
            derivative = huber_derivative(errors, weights)
            by_values = torch.zeros_like(values).scatter_(1, chosen, derivative[:, None])
        return errors, values.detach(), *self.policy.optimizer.gradient([values], [by_values])

    def _double_targets(
        self, next_observations: Tensors, next_values: Tensor, rewards: Tensor, discounts: Tensor
    ) -> Sequence[Tensor]:
        """Return targets `(B,)` by what the online network, which each step changes, would choose now."""
        q_net = self.policy.q_net
        q_net.train(False)  # as the target network is: no dropout, no part in a batch norm's statistics
        with torch.no_grad():
            chooser = q_net.values(next_observations)
            q_net.train(True)
            return (q_targets(chooser, next_values, rewards, discounts),)

    def _follow(self) -> None:
        """Move the weight average a step towards the weights."""
        mean, now = self.averaged_policy.q_net, self.policy.q_net
        with torch.no_grad():
            torch._foreach_lerp_(list(mean.parameters()), list(now.parameters()), 1 - self.average)
            for kept, new in zip(mean.buffers(), now.buffers(), strict=True):
                kept.copy_(new)

    def _record(self) -> None:
        td_error, q_value = torch.stack(self.figures).mean(0).tolist()
        self.logger.record("train/td_error", td_error)
        self.logger.record("train/q_value", q_value)
        self.logger.record("train/grad_norm", float(torch.stack(self.norms).mean()))
        self.logger.record("train/n_updates", self._n_updates)
        self.logger.record("rollout/exploration_rate", self.exploration_rate)
