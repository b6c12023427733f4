"""Losses, as functions of what is predicted and what is true."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.config.roles import Roles
from lab.config.types import PositiveFloat, Probability


def focal(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """Return the mean of -(1 - p)^gamma log p, where p is the probability of the true class (Lin et al. 2017, equation
    4): examples that are right already count less. With gamma 0 it is the cross-entropy.

    Args:
        logits: `(B, classes)`.
        labels: `(B,)`.
        gamma: 0 or more; the paper has 2.
    """
    log_p = -F.cross_entropy(logits, labels, reduction="none")
    missing = (-torch.expm1(log_p)).clamp(min=1e-12)  # at 0, its power would have no finite slope
    return -(missing**gamma * log_p).mean()


def pinball(predicted: Tensor, wanted: Tensor, level: float) -> Tensor:
    """Return the mean of level * d where d = wanted - predicted is positive, and (level - 1) * d elsewhere; it is least
    where a share `level` of the wanted numbers is below the predicted ones (Koenker & Bassett 1978)."""
    difference = wanted - predicted
    return torch.maximum(level * difference, (level - 1) * difference).mean()


@dataclass(frozen=True)
class RegressionLoss:
    """By what predicted numbers are trained.

    Args:
        kind: `squared` error, least for the mean of all that is possible; `absolute` error, for the median; `huber`
            (1964), squared below `delta` and absolute above, which few wild examples pull less; `quantile`, for
            the number below which a share `level` lies.
        delta: of `huber`, in the unit of the numbers.
        level: of `quantile`.
    """

    kind: Literal["squared", "absolute", "huber", "quantile"] = "squared"
    delta: PositiveFloat = 1.0
    level: Probability = 0.5

    def __call__(self, predicted: Tensor, wanted: Tensor) -> Tensor:
        """Return the mean loss of tensors of one shape."""
        if self.kind == "huber":
            return F.huber_loss(predicted, wanted, delta=self.delta)
        if self.kind == "quantile":
            return pinball(predicted, wanted, self.level)
        return F.mse_loss(predicted, wanted) if self.kind == "squared" else F.l1_loss(predicted, wanted)


SQUARED = RegressionLoss()
LOSS_ROLES = Roles(added={f"loss.{name}": value for name, value in asdict(SQUARED).items()})
"""Of a setting `loss` that models did not have before."""
