"""DQN's targets and loss, as pure functions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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


def td_loss(errors: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean Huber loss of temporal difference errors `(B,)`, a scalar: quadratic up to 1 and linear beyond,
    which clips the error's part in the gradient to [-1, 1] (Mnih et al. 2015).

    Args:
        weights: `(B,)`, importance weights of prioritized replay (Schaul et al. 2016); None where all are 1.
    """
    losses = F.huber_loss(errors, torch.zeros_like(errors), reduction="none")
    return (losses if weights is None else losses * weights).mean()
