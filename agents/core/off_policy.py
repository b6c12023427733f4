"""Collecting for DQN: SB3's algorithm and interface, with a loop of our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import RolloutReturn
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from agents.acceleration.captured import Captured
from agents.buffers.replay import Replay
from agents.core.agent import Agent
from agents.environments.vector import Environments
from agents.networks.extractor import Memory
from agents.networks.q_network import QPolicy
from agents.spaces.observations import Tensors, at, put, to_device
from lab.console.progress import notice
from lab.encoders.base import Encoder

HURRIED_START = 100
"""Steps of random play before training in a fast-dev run, at most."""


class OffPolicy(Agent, stable_baselines3.DQN):
    """Acts epsilon-greedily, keeps what came of it in the replay buffer, and looks after the target network."""

    policy: QPolicy
    replay_buffer: Replay  # type: ignore[assignment]
    averaged_policy: QPolicy
    average: float
    target_behind = True
    """Whether the online network has changed since the target network took it over."""
    choose: Captured
    """`_choose`, captured."""

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        train_freq: Any,
        replay_buffer: Any,
        action_noise: Any = None,
        learning_starts: int = 0,
        log_interval: int | None = None,
    ) -> RolloutReturn:
        """Add `train_freq` steps of every environment to the replay buffer, epsilon-greedily."""
        assert isinstance(env, Environments)
        replay, clock = self.replay_buffer, self.stopwatch
        self.policy.set_training_mode(False)
        callback.on_rollout_start()
        self.choose.renew()
        clock.start()
        count = int(train_freq.frequency)
        coins = torch.rand(count, env.num_envs).numpy()
        anything = torch.randint(int(cast(spaces.Discrete, self.action_space).n), (count, env.num_envs)).numpy()
        newest = replay.pos
        for t in range(count):
            actions = anything[t]
            if self.num_timesteps >= learning_starts:
                greedy = coins[t] >= self.exploration_rate
                if greedy.any():
                    (best,) = self.choose(to_device(self._last_obs, self.device))
                    actions = np.where(greedy, best.cpu().numpy(), actions)
            clock.lap("inference")
            steps = env.advance(actions)
            replay.add(self._last_obs, actions, steps)
            put(self._last_obs, slice(None), steps.observations)
            self._last_episode_starts = steps.terminated | steps.truncated
            self.num_timesteps += env.num_envs
            clock.lap("environment")
            if not self.told(callback, steps):
                return RolloutReturn((t + 1) * env.num_envs, 0, False)
            self._update_current_progress_remaining(self.num_timesteps, self._total_timesteps)
            self._on_step()
            clock.lap("logging")
        self._learn_statistics((newest + np.arange(count)) % replay.buffer_size)
        callback.on_rollout_end()
        return RolloutReturn(count * env.num_envs, 0, True)

    def _setup_learn(self, *args: Any, **settings: Any) -> tuple[int, BaseCallback]:
        found = super()._setup_learn(*args, **settings)
        if self._total_timesteps <= self.learning_starts:
            notice(
                f"this agent plays at random and never learns: agent.learning_starts is {self.learning_starts:,}, and "
                f"the run ends after {self._total_timesteps:,} steps"
            )
        return found

    def _choose(self, observations: Tensors) -> Sequence[Tensor]:
        """Return the actions `(B,)` of the highest values."""
        with torch.no_grad():
            return (self.policy.q_net.values(observations).argmax(1),)

    def _on_step(self) -> None:
        """Follow SB3's schedule of the target network and of epsilon."""
        self._n_calls += 1
        if self._n_calls % max(self.target_update_interval // self.n_envs, 1) == 0 and self.target_behind:
            online, target = self.policy.q_net, self.policy.q_net_target
            with torch.no_grad():
                torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), self.tau)
                for kept, new in zip(target.buffers(), online.buffers(), strict=True):
                    kept.copy_(new)  # a batch norm's statistics
            self.target_behind = self.tau < 1  # between rounds of training nothing changes
        self.exploration_rate = self.exploration_schedule(self._current_progress_remaining)

    def _learn_statistics(self, rows: np.ndarray[Any, Any]) -> None:
        """Take the new rows into the running statistics."""
        replay, norm = self.replay_buffer, self.policy.q_net.features_extractor.norm
        if norm is not None:
            norm.update(to_device(at(replay.observations, rows), self.device).flatten(0, 1))
        if self.reward_scale is not None:
            self.reward_scale.update(replay.rewards[rows], replay.terminated[rows] | replay.truncated[rows])

    def act(self, observations: Any, memory: Memory | None = None) -> tuple[np.ndarray[Any, Any], Memory | None]:
        policy = self.acting_policy
        policy.set_training_mode(False)
        with torch.no_grad():
            values = policy.q_net.values(to_device(observations, self.device))
        return values.argmax(1).cpu().numpy(), None

    def predict(self, *args: Any, **settings: Any) -> Any:
        """Act as SB3's `predict` does, by the weights that are evaluated."""
        learning, self.policy = self.policy, self.acting_policy
        try:
            return super().predict(*args, **settings)
        finally:
            self.policy = learning

    @property
    def acting_policy(self) -> QPolicy:
        return self.averaged_policy

    @property
    def learned_modules(self) -> dict[str, nn.Module]:
        averaged = {"averaged_policy": self.averaged_policy} if self.average else {}
        return {"policy": self.policy, **averaged}

    @property
    def encoder(self) -> Encoder:
        return self.acting_policy.q_net.features_extractor.encoder

    def hurry(self) -> None:
        self.learning_starts = min(self.learning_starts, max(self.batch_size, HURRIED_START))

    @property
    def shortest_run(self) -> int:
        rounds = 2 * int(self.train_freq.frequency) * self.n_envs  # type: ignore[union-attr]
        return self.learning_starts + rounds
