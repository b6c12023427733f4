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
from agents.spaces.observations import put

if TYPE_CHECKING:
    from agents.core.on_policy import OnPolicy

STEPPED = 5
"""Parts of a step of the environments: observations, rewards, terminated, truncated, last observations."""


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

    def collect(self, callback: BaseCallback, count: int) -> bool:
        """Fill the rollout with `count` steps of every environment. False when a callback ends training."""
        agent, rollout, clock = self.agent, self.agent.rollout_buffer, self.agent.stopwatch
        agent.policy.set_training_mode(False)
        callback.on_rollout_start()
        clock.start()
        self._take_state()
        self.step.renew(*self.state)
        uniforms = self.envs.env.uniforms(count)  # (T, N, draws)
        observations = torch.as_tensor(agent._last_obs).to(agent.device)
        seen: list[tuple[Tensor, ...]] = []
        stepped: list[tuple[Tensor, ...]] = []
        for t in range(count):
            put(rollout.observations, t, observations)
            parts = [part.clone() for part in self.step(rollout.observations[t], uniforms[t])]  # type: ignore[index]
            observations = parts[-STEPPED]
            seen.append(tuple(parts[:-STEPPED]))
            stepped.append(tuple(parts[-STEPPED:]))
        clock.lap("inference")
        columns = [torch.stack(column).cpu().numpy() for column in zip(*stepped, strict=True)]  # (T, N, ...)
        told, cut_off = self._tell(callback, columns)
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
        for t, (observations, rewards, terminated, truncated, last) in enumerate(zip(*columns, strict=True)):
            rollout.starts[t] = agent._last_episode_starts
            steps = Steps(observations, rewards, terminated, truncated, last if some[t] else None)
            self.envs.follow(steps)
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
