"""Epsilon-greedy exploration (Sutton & Barto 2018, section 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from agents.spaces.observations import to_device

if TYPE_CHECKING:
    from agents.dqn.dqn import DQN


def epsilon_greedy(agent: DQN, count: int) -> Callable[[int, Any], np.ndarray[Any, Any]]:
    """Begin `count` steps; return a function from a step's number and observations to actions `(N,)`."""
    agent.choose.renew()
    greedy, anything = chances(agent, count)

    def explore(t: int, observations: Any) -> np.ndarray[Any, Any]:
        if not greedy[t].any():
            return cast(np.ndarray, anything[t])
        (best,) = agent.choose(to_device(observations, agent.device))
        return np.where(greedy[t], best.cpu().numpy(), anything[t])

    return explore


def chances(agent: DQN, count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Draw for the next `count` steps which actions are greedy, bool `(T, N)`, and what the others are, `(T, N)`.

    Epsilon is that of each step, as SB3 schedules it; before learning starts, no action is greedy.
    """
    coins, anything = torch.rand(count, agent.n_envs).numpy(), agent.random_actions(count)
    done = agent.num_timesteps + agent.n_envs * np.arange(count)
    total = float(agent._total_timesteps)
    rates = [agent.exploration_rate, *(agent.exploration_schedule(1.0 - steps / total) for steps in done[1:].tolist())]
    learns = done >= agent.learning_starts
    return (coins >= np.array(rates, np.float32)[:, None]) & learns[:, None], anything
