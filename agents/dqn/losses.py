"""DQN's targets and loss."""

from __future__ import annotations

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


def huber_derivative(errors: Tensor, weights: Tensor | None) -> Tensor:
    """Return the derivative `(B,)` of the mean Huber loss (threshold 1) of `errors` `(B,)`, each times its weight."""
    derivative = errors.clamp(-1, 1).div_(len(errors))
    return derivative if weights is None else derivative.mul_(weights)
