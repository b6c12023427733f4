"""The terms of PPO's loss, as pure functions of tensors `(B,)`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def clipped_surrogate(ratio: Tensor, advantages: Tensor, epsilon: float | Tensor) -> Tensor:
    """Return -L^CLIP = -E[min(r A, clip(r, 1 - eps, 1 + eps) A)] (Schulman et al. 2017, equation 7), a scalar.

    Written as -E[min(r A, A + eps |A|)], which is the same: the only bound that can be the minimum is (1 + eps) A where
    A > 0, and (1 - eps) A elsewhere (Achiam 2018).

    Args:
        ratio: `(B,)`, probability of each action under the policy over that under the policy which took it.
        advantages: `(B,)`.
        epsilon: the clip range.
    """
    return -torch.min(ratio * advantages, advantages + epsilon * advantages.abs()).mean()


def value_loss(
    values: Tensor, returns: Tensor, old_values: Tensor | None = None, clip_range: float | Tensor | None = None
) -> Tensor:
    """Return L^VF = E[(V - R)^2] (equation 9), a scalar.

    Args:
        values: `(B,)`.
        returns: `(B,)`.
        old_values: `(B,)`, from the time of the rollout.
        clip_range: the value counts as moved by at most this far from the old one, as in SB3; None for no bound.
    """
    if clip_range is not None and old_values is not None:
        moved = torch.clamp(values - old_values, -clip_range, clip_range)  # type: ignore[arg-type]  # both of one kind
        values = old_values + moved
    return F.mse_loss(values, returns)


def approximate_kl(ratio: Tensor, log_ratio: Tensor) -> Tensor:
    """Return an estimate of KL(old, new) with little variance: E[r - 1 - log r] (Schulman 2020, "Approximating KL
    divergence"), a scalar."""
    return (ratio - 1 - log_ratio).mean()
