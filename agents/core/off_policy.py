"""Collecting for off-policy agents: Stable-Baselines3's interface with a loop of our own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import RolloutReturn
from stable_baselines3.common.vec_env import VecEnv

from agents.buffers.replay import Replay
from agents.core.agent import Agent
from agents.core.rolling import Rolling
from agents.environments.vector import Environments, Steps
from agents.spaces.observations import at, each, put, to_device
from lab.console.notices import notice

HURRIED_START = 100
"""Most steps of random play before training in a fast-dev run."""


class OffPolicy(Agent, OffPolicyAlgorithm):
    """Acts in the environments by `exploration`, and keeps the result in the replay buffer, from which `train` learns.

    A subclass gives `exploration`, `train`, `act` and `encoder`. Where environments are in tensors it may give
    `rolling` and `chances`, which then take the place of `exploration`. `_on_step`, called after each step of the
    environments, is the place for schedules and target networks. It may also inherit the SB3 algorithm that it is: see
    `agents/dqn/dqn.py`. Actions may be of any space that SB3's algorithm allows; replay keeps them as they are taken.
    """

    plain_state = (*Agent.plain_state, "rows_added")
    replay_buffer: Replay  # type: ignore[assignment]
    rolling: Rolling | None = None
    """Takes the steps where environments are in tensors, with the `chances` of a subclass that has one."""

    @abstractmethod
    def exploration(self, count: int) -> Callable[[int, Any], np.ndarray[Any, Any]]:
        """Begin a rollout of `count` steps. Return a function from the number of the step, counted from 0, and
        observations `(N, *shape)` to actions `(N, *action_shape)`. Before `num_timesteps` reaches `learning_starts` it
        must return random actions (`random_actions`).

        All random numbers must come from torch's generators, so that a resumed run is the same.
        """

    def chances(self, count: int) -> Sequence[np.ndarray[Any, Any]]:
        """Draw what `rolling` needs besides observations for each of the next `count` steps, `(T, N, ...)`."""
        raise NotImplementedError

    def random_actions(self, count: int) -> np.ndarray[Any, Any]:
        """Draw `count` random actions for each environment, `(count, N, *action_shape)`, by torch's generator."""
        lead, space = (count, self.n_envs), self.action_space
        if isinstance(space, spaces.Discrete):
            numbers: np.ndarray[Any, Any] = torch.randint(int(space.n), lead).numpy() + space.start
            return numbers
        assert isinstance(space, spaces.Box)
        share: np.ndarray[Any, Any] = torch.rand(*lead, *space.shape).numpy()
        chosen: np.ndarray[Any, Any] = (space.low + share * (space.high - space.low)).astype(space.dtype)
        return chosen

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
        """Add `train_freq` steps of every environment to the replay buffer."""
        assert isinstance(env, Environments)
        replay, clock = self.replay_buffer, self.stopwatch
        self.policy.set_training_mode(False)
        callback.on_rollout_start()
        clock.start()
        count, newest = int(train_freq.frequency), replay.pos
        for t, (actions, steps) in enumerate(self._steps(env, count)):
            replay.add(self._last_obs, actions, steps)
            self.rows_added += 1
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

    def _steps(self, env: Environments, count: int) -> Iterator[tuple[np.ndarray[Any, Any], Steps]]:
        """Take `count` steps, and yield the actions and the result of each."""
        if self.rolling is not None:
            chances = [torch.from_numpy(x).to(self.device) for x in self.chances(count)]
            taken = self.rolling.take(self._last_obs, count, *chances)
            actions = taken[0].cpu().numpy().copy()
            self.stopwatch.lap("inference")
            yield from zip(actions, self.rolling.follow(taken), strict=True)
            return
        explore = self.exploration(count)
        for t in range(count):
            actions = explore(t, self._last_obs)
            self.stopwatch.lap("inference")
            yield actions, env.advance(actions)

    def _setup_learn(self, *args: Any, **settings: Any) -> tuple[int, BaseCallback]:
        found = super()._setup_learn(*args, **settings)
        if self._total_timesteps <= self.learning_starts:
            notice(
                f"this agent plays at random and never learns: agent.learning_starts is {self.learning_starts:,}, and "
                f"the run ends after {self._total_timesteps:,} steps"
            )
        return found

    def _learn_statistics(self, rows: np.ndarray[Any, Any]) -> None:
        """Take the new rows into the running statistics."""
        replay = self.replay_buffer
        if self.learning_norm is not None:
            seen = to_device(at(replay.observations, rows), self.device)
            self.learning_norm.update(each(lambda x: x.flatten(0, 1), seen))
        if self.reward_scale is not None:
            self.reward_scale.update(replay.rewards[rows], replay.terminated[rows] | replay.truncated[rows])

    def predict(self, *args: Any, **settings: Any) -> Any:
        """Act as SB3's `predict` does, by the weights that are evaluated."""
        learning, self.policy = self.policy, self.acting_policy
        try:
            return super().predict(*args, **settings)
        finally:
            self.policy = learning

    def hurry(self) -> None:
        self.learning_starts = min(self.learning_starts, max(self.batch_size, HURRIED_START))

    @property
    def shortest_run(self) -> int:
        rounds = 2 * int(self.train_freq.frequency) * self.n_envs  # type: ignore[union-attr]
        return self.learning_starts + rounds
