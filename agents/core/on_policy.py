"""Collecting and acting for on-policy agents: Stable-Baselines3's interface with a loop of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, cast

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from agents.acceleration.captured import Capture
from agents.acceleration.eager_adam import EagerAdam
from agents.buffers.rollout import CutOff, Rollout, Transitions
from agents.core.agent import Agent, evaluating
from agents.core.collecting import step_by_step, together
from agents.core.rolling import Rolling
from agents.environments.native import TensorEnvs
from agents.environments.vector import Environments
from agents.networks.actor_critic import ActorCritic
from agents.networks.extractor import EncoderExtractor, RecurrentState, running_norm
from agents.networks.normalization import RewardScale
from agents.spaces.observations import Tensors, each, rows_of, to_device
from lab.encoders.base import Encoder, EncoderFactory


class OnPolicy(Agent, OnPolicyAlgorithm):
    """Acts in the environments by the policy that learns, and keeps the result until the next update.

    A subclass also inherits the SB3 algorithm that it is, and writes `train`: see `agents/ppo/ppo.py`.

    Args:
        env: the training environments.
        encoder: the trunk under policy and value function.
        share_encoder: one trunk for both; otherwise one each.
        net_arch: widths of further tanh layers between trunk and heads, for each head its own.
        ortho_init: orthogonal initialisation of all layers, the encoder's too unless it is pretrained.
        log_std_init: logarithm of the standard deviation of Box actions at the beginning.
        adam_epsilon: of torch's Adam.
        normalize_observations: by their running mean and variance.
        normalize_rewards: by the running standard deviation of the return.
        capture: see `agents.acceleration.captured`.
        settings: of the SB3 algorithm.
    """

    policy: ActorCritic
    rollout_buffer: Rollout  # type: ignore[assignment]
    batch_size: int

    def __init__(
        self,
        env: VecEnv,
        *,
        encoder: EncoderFactory,
        share_encoder: bool,
        net_arch: Sequence[int],
        ortho_init: bool,
        log_std_init: float,
        adam_epsilon: float,
        normalize_observations: bool,
        normalize_rewards: bool,
        capture: Capture,
        **settings: Any,
    ) -> None:
        norm = running_norm(env.observation_space) if normalize_observations else None
        super().__init__(
            ActorCritic,
            env,
            capture=capture,
            rollout_buffer_class=Rollout,
            policy_kwargs={
                "features_extractor_class": EncoderExtractor,
                "features_extractor_kwargs": {"encoder": encoder, "norm": norm},
                "share_features_extractor": share_encoder,
                "net_arch": list(net_arch),
                "ortho_init": ortho_init,
                "log_std_init": log_std_init,
                "optimizer_class": EagerAdam,
                "optimizer_kwargs": {"eps": adam_epsilon, "fused": True},
            },
            **settings,
        )
        self.reward_scale = RewardScale(env.num_envs, self.gamma) if normalize_rewards else None
        self.recurrent = self.policy.recurrent
        self.memory = tuple(part.to(self.device) for part in self.policy.initial_memory(env.num_envs))
        self.choose = self.accelerate(self._choose)
        self.choose.wished &= not (self.recurrent or self.use_sde)  # gSDE keeps noise outside of the policy's tensors
        self.rolling: Rolling | None = None
        if isinstance(env, TensorEnvs) and not (self.recurrent or self.use_sde):
            self.rolling = Rolling(self, self._choose)
            self.evaluate = self.accelerate(
                self.policy.evaluate_rollout, "log-probabilities and values of a rollout", repeats=False
            )
        for inner in (self.policy.pi_features_extractor.encoder, self.policy.vf_features_extractor.encoder):
            if inner.pretrained and ortho_init:
                inner.load_state_dict(encoder(inner.spec).state_dict())

    def passes(self, count: int) -> Iterator[Iterable[Transitions]]:
        """Yield `count` passes over the rollout, each in batches of `batch_size`; whole sequences if recurrent."""
        rollout = self.rollout_buffer
        normalize = bool(getattr(self, "normalize_advantage", False))
        if not self.recurrent and self.batch_size == rollout.n_steps * rollout.n_envs:
            yield from repeat(list(rollout.batches(self.batch_size, normalize=normalize)), count)
            return
        batches = rollout.sequences if self.recurrent else rollout.batches
        for _ in range(count):
            yield batches(self.batch_size, normalize=normalize)

    def heads_of(self, batch: Transitions) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the networks compute for a batch: parameters of the distribution over actions `(B, P)`, the layer
        under them `(B, L)`, and values `(B,)`."""
        if batch.starts is None:
            return self.policy.heads(batch.observations)[:3]
        return self.policy.heads_of_sequences(batch.observations, batch.memory, batch.starts)[:3]

    def learn_statistics(self) -> None:
        """Take the rollout's observations into the running statistics."""
        if self.learning_norm is not None:
            self.learning_norm.update(each(lambda x: x.flatten(0, 1), self.rollout_buffer.observations))

    def collect_rollouts(self, env: VecEnv, callback: BaseCallback, rollout_buffer: Any, n_rollout_steps: int) -> bool:
        """Fill the rollout with `n_rollout_steps` steps of every environment. False when a callback ends training."""
        assert isinstance(env, Environments)
        rollout, clock = self.rollout_buffer, self.stopwatch
        self.policy.set_training_mode(False)
        callback.on_rollout_start()
        clock.start()
        take = step_by_step if self.rolling is None else together
        columns: list[Tensor] = []
        cut_off: list[CutOff] = []
        for t, steps in enumerate(take(self, n_rollout_steps, columns)):
            rollout.starts[t], rollout.rewards[t] = self._last_episode_starts, steps.rewards
            if steps.last is not None and (rows := np.flatnonzero(steps.truncated & ~steps.terminated)).size:
                last = each(lambda x, rows=rows: x[rows].copy(), steps.last)
                cut_off.append(CutOff(t, rows, last, tuple(part[rows] for part in self.memory)))
            self._last_obs, self._last_episode_starts = steps.observations, steps.terminated | steps.truncated
            self.num_timesteps += env.num_envs
            clock.lap("environment")
            if not self.told(callback, steps):
                return False
            clock.lap("logging")
        with torch.no_grad():
            self._keep(rollout, columns)
            self._finish(rollout, cut_off)
        clock.lap("inference")
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _choose(self, observations: Tensors) -> Sequence[Tensor]:
        """Draw actions `(B, ...)`; return them with the outputs, latent and, unless they can wait, values of `Heads`.
        For policies without memory."""
        with torch.no_grad():
            policy = self.policy
            parts = policy.actor(observations) if policy.values_can_wait else policy.heads(observations)[:3]
            return policy.distribution.sample(parts[0], parts[1]), *parts

    def _keep(self, rollout: Rollout, columns: Sequence[Tensor]) -> None:
        """Store actions, log-probabilities and values of all steps: `columns` of `_choose`, each `(T, N, ...)`."""
        actions, outputs, latents, *values = columns
        rollout.actions.copy_(actions)
        evaluate: Callable[..., Sequence[Tensor]] = self.policy.evaluate_rollout
        if self.rolling is not None:
            evaluate = self.evaluate
            evaluate.renew()
        log_probs, *waited = evaluate(outputs, latents, rollout.actions, None if values else rollout.observations)
        rollout.log_probs.copy_(log_probs)
        rollout.values.copy_(*values, *waited)

    def _finish(self, rollout: Rollout, cut_off: list[CutOff]) -> None:
        """Scale rewards, add the value of what time limits cut off, and estimate advantages."""
        if self.reward_scale is not None:
            ended = np.concatenate([rollout.starts[1:], self._last_episode_starts[None]]).astype(bool)  # type: ignore[index]
            self.reward_scale.update(rollout.rewards, ended)
            np.clip(rollout.rewards * self.reward_scale.factor, -10, 10, out=rollout.rewards)
        for t, rows, last, memory in cut_off:
            goes_on = torch.zeros(len(rows), device=self.device)
            values = self.policy.values(to_device(last, self.device), memory, goes_on)
            rollout.rewards[t, rows] += self.gamma * values.cpu().numpy()
        last_values = self.policy.values(to_device(self._last_obs, self.device), self.memory, self.starts())
        rollout.finish(last_values, cast(np.ndarray, self._last_episode_starts))

    def starts(self) -> Tensor | None:
        """Return 1 where an episode begins, `(N,)`; None where no memory asks for it."""
        if not self.recurrent:
            return None
        return torch.from_numpy(cast(np.ndarray, self._last_episode_starts).astype(np.float32)).to(self.device)

    def act(self, observations: Any, memory: RecurrentState | None = None) -> tuple[Any, RecurrentState | None]:
        rows = rows_of(observations)
        if memory is None:
            memory = tuple(part.to(self.device) for part in self.policy.initial_memory(rows))
        starts = torch.zeros(rows, device=self.device) if self.recurrent else None
        evaluating(self.policy)
        chosen, memory = self.policy.act(to_device(observations, self.device), memory, starts)
        actions = chosen.cpu().numpy()
        return self.allowed(actions), memory if self.recurrent else None

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray[Any, Any], ...] | None = None,
        episode_start: np.ndarray[Any, Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray[Any, Any], tuple[np.ndarray[Any, Any], ...] | None]:
        """Act as SB3's `predict` does; a policy with a memory takes and returns it as `state`, like sb3-contrib's."""
        if not self.recurrent:
            return super().predict(observation, state, episode_start, deterministic)
        self.policy.set_training_mode(False)
        observations, vectorized = self.policy.obs_to_tensor(observation)
        rows = rows_of(observations)
        memory = self.policy.initial_memory(rows) if state is None else tuple(map(torch.from_numpy, state))
        starts = torch.zeros(rows) if episode_start is None else torch.as_tensor(episode_start, dtype=torch.float32)
        with torch.no_grad():
            outputs, latent, _, memory = self.policy.heads(
                observations, tuple(part.to(self.device) for part in memory), starts.to(self.device)
            )
            distribution = self.policy.distribution
            if not deterministic:
                distribution.resample(rows)
            chosen = distribution.mode(outputs) if deterministic else distribution.sample(outputs, latent)
        actions = chosen.cpu().numpy().reshape(-1, *(self.action_space.shape or ()))
        actions = self.allowed(actions)
        return actions if vectorized else actions[0], tuple(part.cpu().numpy() for part in memory)

    @property
    def encoder(self) -> Encoder:
        return self.policy.pi_features_extractor.encoder

    @property
    def shortest_run(self) -> int:
        return 2 * self.n_steps * self.n_envs
