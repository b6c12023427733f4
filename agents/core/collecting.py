"""The two ways in which on-policy agents take the steps of a rollout, and keep what their networks computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from agents.environments.vector import Steps
from agents.spaces.observations import at, put, to_device

if TYPE_CHECKING:
    from agents.core.on_policy import OnPolicy


def step_by_step(agent: OnPolicy, count: int, columns: list[Tensor]) -> Iterator[Steps]:
    """Take `count` steps, and yield each; then add to `columns` what the policy computed, `(T, N, ...)` each."""
    policy, rollout, env = agent.policy, agent.rollout_buffer, agent.vec_env
    agent.choose.renew()
    policy.distribution.resample(env.num_envs)
    rollout.memory = agent.memory
    seen: list[tuple[Tensor, ...]] = []  # stacked once, which is faster than writing each step to its place
    for t in range(count):
        if agent.use_sde and agent.sde_sample_freq > 0 and t % agent.sde_sample_freq == 0:
            policy.distribution.resample(env.num_envs)
        put(rollout.observations, t, to_device(agent._last_obs, agent.device))
        observations = at(rollout.observations, t)  # the rollout's: encoders may return a view of them
        if agent.recurrent:
            with torch.no_grad():
                *parts, agent.memory = policy.heads(observations, agent.memory, agent.starts())
                seen.append((policy.distribution.sample(parts[0], parts[1]), *parts))
        else:
            seen.append(tuple(part.clone() for part in agent.choose(observations)))
        actions = seen[-1][0].cpu().numpy()
        agent.stopwatch.lap("inference")
        yield env.advance(agent.allowed(actions))
    columns += [torch.stack(column) for column in zip(*seen, strict=True)]


def together(agent: OnPolicy, count: int, columns: list[Tensor]) -> Iterator[Steps]:
    """The same by `agent.rolling`, which has taken all steps before the first is yielded."""
    assert agent.rolling is not None
    observations: Any = agent.rollout_buffer.observations
    observations[0] = torch.as_tensor(agent._last_obs).to(agent.device)
    taken = agent.rolling.take(observations[0], count)
    *seen, following, _, _, _, _ = taken
    observations[1:] = following[:-1]
    columns += seen
    agent.stopwatch.lap("inference")
    yield from agent.rolling.follow(taken)
