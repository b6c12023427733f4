"""Losses and targets of the agents as pure functions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Surrogate(NamedTuple):
    """PPO's loss, as its derivatives by what the policy and the value function say about each transition.

    Written down instead of left to autograd, which spends two thirds as long on this handful of tiny operations
    as on small networks themselves.

    Args:
        by_log_prob: `(B,)`, derivative of the loss by the log-probability of each action.
        by_value: `(B,)`, by each value.
        ratio: `(B,)`, of the new probability to the old one.
        log_ratio: `(B,)`.
    """

    by_log_prob: Tensor
    by_value: Tensor
    ratio: Tensor
    log_ratio: Tensor


def clipped_surrogate(
    log_probs: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    values: Tensor,
    old_values: Tensor,
    returns: Tensor,
    *,
    clip_range: float | Tensor,
    clip_range_vf: float | Tensor | None,
    vf_coef: float,
) -> Surrogate:
    """Return the derivatives of `-mean(min(r A, clip(r) A)) + vf_coef * mean((V - R)^2)`
    (Schulman et al. 2017, equations 7 and 9). All arguments are `(B,)`.

    Args:
        clip_range_vf: the value may move this far from the old one and no further, as in SB3; None for no bound.
    """
    log_ratio = log_probs - old_log_probs
    ratio = log_ratio.exp()
    # The minimum takes the clipped term, which is constant, just where the ratio has gone too far the right way.
    moving = torch.where(advantages > 0, ratio < 1 + clip_range, ratio > 1 - clip_range)
    by_log_prob = (advantages * ratio * moving).div_(-len(ratio))
    errors = values - returns
    if clip_range_vf is not None:
        moved = values - old_values
        clipped = moved.clamp(-clip_range_vf, clip_range_vf)  # type: ignore[arg-type]  # both of one kind
        errors = (old_values + clipped - returns) * (moved.abs() <= clip_range_vf)
    return Surrogate(by_log_prob, errors.mul_(2 * vf_coef / len(errors)), ratio, log_ratio)


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


def q_targets(
    next_q_online: Tensor | None,
    next_q_target: Tensor,
    rewards: Tensor,
    discounts: Tensor,
) -> Tensor:
    """Return bootstrapped targets `(B,)` for Q-values.

    Args:
        next_q_online: `(B, A)`, the online network's values of the next state: it chooses the next action in double
            Q-learning (van Hasselt et al. 2016). None: the target network does (Mnih et al. 2015).
        next_q_target: `(B, A)`, the target network's.
        rewards: `(B,)`, summed and discounted over n steps where n-step returns are used.
        discounts: `(B,)`, gamma to the number of steps summed; 0 where the episode terminated (a time limit does not
            count).
    """
    if next_q_online is None:
        return rewards + discounts * next_q_target.amax(1)
    best = next_q_online.argmax(1, keepdim=True)
    return rewards + discounts * next_q_target.gather(1, best).squeeze(1)


def huber_derivative(errors: Tensor, weights: Tensor | None) -> Tensor:
    """Return the derivative `(B,)` of the mean Huber loss (threshold 1) of `errors` `(B,)`, each times its weight."""
    derivative = errors.clamp(-1, 1).div_(len(errors))
    return derivative if weights is None else derivative.mul_(weights)
