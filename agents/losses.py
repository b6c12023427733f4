"""Losses and targets of the agents as pure functions."""

from __future__ import annotations

import torch
from torch import Tensor


def q_targets(
    next_q_online: Tensor,
    next_q_target: Tensor,
    rewards: Tensor,
    dones: Tensor,
    discounts: Tensor | float,
    *,
    double: bool,
) -> Tensor:
    """Return bootstrapped targets `(B, 1)` for Q-values.

    Args:
        next_q_online: `(B, A)`, the online network's values of the next state; used when `double`.
        next_q_target: `(B, A)`, the target network's.
        rewards: `(B, 1)`, summed and discounted over n steps where n-step returns are used.
        dones: `(B, 1)`, 1 where the episode terminated (a time limit does not count).
        discounts: gamma, or gamma to the number of steps summed, `(B, 1)`.
        double: choose the next action by the online network (van Hasselt et al. 2016), else by the target network
            (Mnih et al. 2015).
    """
    chooser = next_q_online if double else next_q_target
    best = chooser.argmax(1, keepdim=True)
    return rewards + (1 - dones) * discounts * torch.gather(next_q_target, 1, best)
