"""PPO's loss."""

from __future__ import annotations

from typing import NamedTuple

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
