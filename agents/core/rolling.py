"""Policy and environments as one function of tensors: a rollout without NumPy, and on a GPU without waiting for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from agents.buffers.rollout import CutOff
from agents.environments.native import TensorEnvs
from agents.environments.vector import Steps

if TYPE_CHECKING:
    from agents.core.on_policy import OnPolicy


class Rolling:
    """Collects rollouts of an agent whose environments are `TensorEnvs` and whose policy has no memory.

    A step of the policy and of all environments is one captured function (see `Captured`). Callbacks are told of the
    steps after the rollout, since only then their values are looked at.
    """

    def __init__(self, agent: OnPolicy) -> None:
        assert isinstance(agent.env, TensorEnvs)
        self.agent, self.envs = agent, agent.env
        self.state: Any = None
        self.bounds: tuple[Tensor, Tensor] | None = None
        if isinstance(space := agent.action_space, spaces.Box):
            self.bounds = (torch.tensor(space.low, device=agent.device), torch.tensor(space.high, device=agent.device))
        self.step = agent.accelerate(self._step, "step of policy and environments", self._changed)
        self.columns: Sequence[Tensor] = ()
        """What the steps of a rollout returned, each `(T, N, ...)`."""

    def collect(self, callback: BaseCallback, count: int) -> bool:
        """Fill the rollout with `count` steps of every environment. False when a callback ends training."""
        agent, rollout, clock = self.agent, self.agent.rollout_buffer, self.agent.stopwatch
        agent.policy.set_training_mode(False)
        callback.on_rollout_start()
        clock.start()
        self._take_state()
        self.step.renew(*self.state)
        uniforms = self.envs.env.uniforms(count)  # (T, N, draws)
        observations: Any = rollout.observations
        observations[0] = torch.as_tensor(agent._last_obs).to(agent.device)
        first = self.step(observations[0], uniforms[0])
        if not self.columns or len(self.columns[0]) != count:
            self.columns = [x.new_empty(count, *x.shape) for x in first]
        for column, x in zip(self.columns, first, strict=True):
            column[0] = x
        *seen, following, rewards, terminated, truncated, last = self.columns
        rows = list(zip(*(column.unbind() for column in self.columns), strict=True))
        for t in range(1, count):
            self.step.write(rows[t], following[t - 1], uniforms[t])
        observations[1:] = following[:-1]
        clock.lap("inference")
        # Copies: the next rollout overwrites the columns.
        stepped = [x.cpu().numpy().copy() for x in (following, rewards, terminated, truncated, last)]
        told, cut_off = self._tell(callback, stepped)
        clock.lap("environment")
        if not told:
            return False
        with torch.no_grad():
            agent._keep(rollout, seen)
            agent._finish(rollout, cut_off)
        clock.lap("inference")
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _tell(self, callback: BaseCallback, columns: Sequence[np.ndarray[Any, Any]]) -> tuple[bool, list[CutOff]]:
        """Count the steps and tell the callbacks of each; return whether to go on, and what time limits cut off."""
        agent, rollout = self.agent, self.agent.rollout_buffer
        cut_off: list[CutOff] = []
        rollout.rewards[:] = columns[1]
        ended = columns[2] | columns[3]
        some = ended.any(1)
        checked = all(bool(np.isfinite(x).all()) for x in columns)
        for t, (observations, rewards, terminated, truncated, last) in enumerate(zip(*columns, strict=True)):
            rollout.starts[t] = agent._last_episode_starts
            steps = Steps(observations, rewards, terminated, truncated, last if some[t] else None)
            self.envs.follow(steps, checked=checked)
            if some[t] and (rows := np.flatnonzero(truncated & ~terminated)).size:
                cut_off.append(CutOff(t, rows, last[rows], ()))
            agent._last_obs, agent._last_episode_starts = observations, ended[t]
            agent.num_timesteps += agent.n_envs
            if not agent.told(callback, steps):
                return False, cut_off
        return True, cut_off

    def _step(self, observations: Tensor, uniforms: Tensor) -> Sequence[Tensor]:
        """Return what the policy chose, as `OnPolicy._choose` does, and then a step of the environments."""
        with torch.no_grad():
            chosen = self.agent._choose(observations)
            actions = chosen[0] if self.bounds is None else torch.clamp(chosen[0], *self.bounds)
            state, *parts = self.envs.env.core.step(self.state, actions, uniforms)
            for old, new in zip(self.state, state, strict=True):
                old.copy_(new)
            return *chosen, *parts

    def _take_state(self) -> None:
        """Keep the environments' state where captured operations find it."""
        now = self.envs.env.state
        if now is not self.state:
            assert now is not None
            if self.state is None:
                self.state = type(now)(*(part.clone() for part in now))
            for old, new in zip(self.state, now, strict=True):
                old.copy_(new)
            self.envs.env.state = self.state

    def _changed(self) -> Sequence[Tensor]:
        return [] if self.state is None else list(self.state)
