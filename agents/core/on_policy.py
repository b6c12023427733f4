"""Collecting for PPO: SB3's algorithm and interface, with a loop of our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from agents.acceleration.captured import Captured
from agents.buffers.rollout import Rollout
from agents.core.agent import Agent
from agents.environments.vector import Environments
from agents.networks.actor_critic import ActorCritic
from agents.networks.extractor import Memory
from agents.spaces.observations import Tensors, at, each, put, rows_of, to_device
from lab.encoders.base import Encoder

AT_ONCE = 4096
"""Observations whose values are asked for together."""


class CutOff(NamedTuple):
    """Episodes that a time limit ended at step `t` of a rollout: in these rows, seen last so, with this memory."""

    t: int
    rows: np.ndarray[Any, Any]
    last: Any
    memory: Memory


class OnPolicy(Agent, stable_baselines3.PPO):
    """Acts in the environments by the policy that learns, and keeps what came of it until the next update."""

    policy: ActorCritic
    rollout_buffer: Rollout  # type: ignore[assignment]
    recurrent = False
    choose: Captured
    """`_choose`, captured where it can be."""

    def collect_rollouts(self, env: VecEnv, callback: BaseCallback, rollout_buffer: Any, n_rollout_steps: int) -> bool:
        """Fill the rollout with `n_rollout_steps` steps of every environment. False when a callback ends training."""
        assert isinstance(env, Environments)
        policy, rollout, clock = self.policy, self.rollout_buffer, self.stopwatch
        policy.set_training_mode(False)
        callback.on_rollout_start()
        self.choose.renew()
        policy.distribution.resample(env.num_envs)
        rollout.memory = self.memory
        cut_off: list[CutOff] = []
        clip = (self.action_space.low, self.action_space.high) if isinstance(self.action_space, spaces.Box) else None
        seen: list[tuple[Tensor, ...]] = []  # stacked once: quicker than writing each step in its place
        clock.start()
        with torch.no_grad():
            for t in range(n_rollout_steps):
                if self.use_sde and self.sde_sample_freq > 0 and t % self.sde_sample_freq == 0:
                    policy.distribution.resample(env.num_envs)
                put(rollout.observations, t, to_device(self._last_obs, self.device))
                observations = at(rollout.observations, t)  # kept: what an encoder gives back may share its memory
                if self.recurrent:
                    *parts, self.memory = policy.heads(observations, self.memory, self._starts())
                    seen.append((policy.distribution.sample(parts[0], parts[1]), *parts))
                else:
                    seen.append(tuple(part.clone() for part in self.choose(observations)))
                actions = seen[-1][0].cpu().numpy()
                rollout.starts[t] = self._last_episode_starts
                clock.lap("inference")
                steps = env.advance(actions if clip is None else np.clip(actions, *clip))
                rollout.rewards[t] = steps.rewards
                if steps.last is not None and (rows := np.flatnonzero(steps.truncated & ~steps.terminated)).size:
                    last = each(lambda x, rows=rows: x[rows].copy(), steps.last)
                    cut_off.append(CutOff(t, rows, last, tuple(part[rows] for part in self.memory)))
                self._last_obs, self._last_episode_starts = steps.observations, steps.terminated | steps.truncated
                self.num_timesteps += env.num_envs
                clock.lap("environment")
                if not self.told(callback, steps):
                    return False
                clock.lap("logging")
            self._keep(rollout, seen)
            self._finish(rollout, cut_off)
        clock.lap("inference")
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _choose(self, observations: Tensors) -> Sequence[Tensor]:
        """Return drawn actions `(B, ...)`, and of `Heads` outputs, latent and, unless they can wait, values; for
        policies without memory."""
        with torch.no_grad():
            policy = self.policy
            parts = policy.actor(observations) if policy.values_can_wait else policy.heads(observations)[:3]
            return policy.distribution.sample(parts[0], parts[1]), *parts

    def _keep(self, rollout: Rollout, seen: list[tuple[Tensor, ...]]) -> None:
        """Store actions, log-probabilities and values of all steps."""
        actions, outputs, latents, *values = (torch.stack(column) for column in zip(*seen, strict=True))
        rollout.actions.copy_(actions)
        log_probs = self.policy.distribution.log_prob(*(x.flatten(0, 1) for x in (outputs, latents, rollout.actions)))
        rollout.log_probs.flatten().copy_(log_probs)
        if values:
            rollout.values.copy_(values[0])
        else:
            flat = each(lambda x: x.flatten(0, 1), rollout.observations)
            parts = [self.policy.values(at(flat, slice(i, i + AT_ONCE))) for i in range(0, rows_of(flat), AT_ONCE)]
            rollout.values.flatten().copy_(torch.cat(parts))

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
        last_values = self.policy.values(to_device(self._last_obs, self.device), self.memory, self._starts())
        rollout.finish(last_values, cast(np.ndarray, self._last_episode_starts))

    def _starts(self) -> Tensor | None:
        if not self.recurrent:
            return None
        return torch.from_numpy(cast(np.ndarray, self._last_episode_starts).astype(np.float32)).to(self.device)

    def act(self, observations: Any, memory: Memory | None = None) -> tuple[Any, Memory | None]:
        rows = rows_of(observations)
        if memory is None:
            memory = tuple(part.to(self.device) for part in self.policy.initial_memory(rows))
        starts = torch.zeros(rows, device=self.device) if self.recurrent else None
        self.policy.set_training_mode(False)
        chosen, memory = self.policy.act(to_device(observations, self.device), memory, starts)
        actions = chosen.cpu().numpy()
        if isinstance(self.action_space, spaces.Box):
            actions = np.clip(actions, self.action_space.low, self.action_space.high)
        return actions, memory if self.recurrent else None

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
        if isinstance(self.action_space, spaces.Box):
            actions = np.clip(actions, self.action_space.low, self.action_space.high)
        return actions if vectorized else actions[0], tuple(part.cpu().numpy() for part in memory)

    @property
    def encoder(self) -> Encoder:
        return self.policy.pi_features_extractor.encoder

    @property
    def shortest_run(self) -> int:
        return 2 * self.n_steps * self.n_envs
