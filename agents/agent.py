"""What the lab asks of an agent beyond what Stable-Baselines3 does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from agents.extractor import EncoderExtractor
from lab.encoders.base import Encoder
from lab.optimization import Schedule


class Agent(BaseAlgorithm):
    """Mixed into an algorithm of SB3, whose loop, policies and callbacks it keeps."""

    @property
    def acting_policy(self) -> BasePolicy:
        """The policy that is evaluated, saved and shown."""
        return self.policy

    @property
    def encoder(self) -> Encoder:
        """The encoder inside the acting policy."""
        raise NotImplementedError

    @property
    def shortest_run(self) -> int:
        """Environment steps after which every part of the algorithm has been used."""
        raise NotImplementedError

    @property
    def learned_modules(self) -> dict[str, nn.Module]:
        """All modules whose weights or statistics change in training, by name."""
        return {"policy": self.policy}

    @property
    def vec_env(self) -> VecEnv:
        """The training environments."""
        assert self.env is not None
        return self.env

    @property
    def replay(self) -> ReplayBuffer | None:
        """The replay buffer of an off-policy agent."""
        return getattr(self, "replay_buffer", None)

    @property
    def rows_added(self) -> int:
        """Rows added to the replay buffer since the run began, those it has forgotten included."""
        return int(getattr(self, "_n_calls", 0))

    def begin_episodes(self) -> None:
        """End all episodes here, as a time limit would, and begin new ones that belong to this step."""
        self.vec_env.env_method("begin_at", self.num_timesteps)
        self._last_obs = self.vec_env.reset()  # type: ignore[assignment]
        self._last_episode_starts = np.ones(self.n_envs, dtype=bool)
        if self.replay is not None:
            last = (self.replay.pos - 1) % self.replay.buffer_size
            self.replay.timeouts[last] = 1 - self.replay.dones[last]  # n-step returns end here, and bootstrap

    def act(self, observations: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return deterministic actions `(B, ...)` for observations `(B, *shape)`."""
        return self.acting_policy.predict(observations, deterministic=True)[0]


AgentFactory = Callable[[VecEnv, int, torch.device], Agent]
"""How a config gives an agent: a class and its settings, still waiting for environments, seed and device."""


def sb3_schedule(value: float, schedule: Schedule) -> Callable[[float], float]:
    """Return `value` under `schedule` as SB3 wants it: a function of the progress that remains, from 1 to 0."""
    return lambda remaining: value * schedule.factor(round(1e6 * (1 - remaining)), 1_000_000)


def encoder_of(extractor: object) -> Encoder:
    """Return the lab's encoder inside an SB3 features extractor."""
    return cast(EncoderExtractor, extractor).encoder
