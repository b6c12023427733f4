"""Generalised advantage estimation."""

from __future__ import annotations

import numpy as np


def advantages_and_returns(
    rewards: np.ndarray,
    values: np.ndarray,
    starts: np.ndarray,
    last_values: np.ndarray,
    last_starts: np.ndarray,
    *,
    gamma: float,
    gae_lambda: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return generalised advantage estimates and TD(lambda) returns, both `(T, N)` (Schulman et al. 2016, equation 16).

    Args:
        rewards: `(T, N)`, with the discounted value of the state that a time limit cut off added.
        values: `(T, N)`, of the states the steps were taken in.
        starts: `(T, N)`, 1 where an episode began with the step.
        last_values: `(N,)`, of the states after the last step.
        last_starts: `(N,)`, 1 where these begin an episode.
    """
    next_values = np.concatenate([values[1:], last_values[None]])
    go_on = 1.0 - np.concatenate([starts[1:], last_starts[None]])
    deltas = rewards + gamma * next_values * go_on - values
    decay = gamma * gae_lambda * go_on
    advantages = np.empty_like(rewards)
    running = np.zeros_like(last_values)
    for t in range(len(rewards) - 1, -1, -1):
        running = deltas[t] + decay[t] * running
        advantages[t] = running
    return advantages, advantages + values
