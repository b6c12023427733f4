"""Bands around forecasts, and metrics of several columns."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torchmetrics import Metric


class Bands(nn.Module):
    """How far a forecast is off at most, in a wanted share of cases: split conformal prediction (Papadopoulos et al.
    2002; Lei et al. 2018, section 2.2), for each step ahead and each column.

    The margin is a quantile of the errors of forecasts that were not trained on; without a validation part, of those
    that were, where it is too small if the model overfits. It would cover the share where errors came in random order;
    those of a series do not, so the coverage is measured on the test.

    Args:
        horizon: H, steps ahead.
        columns: F.
        coverage: the wanted share.
    """

    margins: Tensor

    def __init__(self, horizon: int, columns: int, coverage: float) -> None:
        super().__init__()
        self.coverage = coverage
        self.register_buffer("margins", torch.full((horizon, columns), math.inf))

    @property
    def fitted(self) -> bool:
        """Whether the margins are known. Until then they are infinite."""
        return bool(self.margins.isfinite().all())

    @torch.no_grad()
    def fit(self, errors: Tensor) -> None:
        """Take the margins from absolute errors `(N, H, F)`. Where N is too small for the share, the margin is the
        largest error."""
        count = len(errors)
        rank = min(count, math.ceil((count + 1) * self.coverage))
        self.margins.copy_(errors.kthvalue(rank, dim=0).values)


class OfSteps(Metric):  # type: ignore[misc]
    """A metric of steps, measured in a unit for each column.

    Args:
        metric: of flat predictions and targets.
        unit: of the columns, `(F,)`.
    """

    unit: Tensor

    def __init__(self, metric: Metric, unit: Tensor) -> None:
        super().__init__()
        self.metric = metric
        self.register_buffer("unit", unit, persistent=False)

    def update(self, predicted: Tensor, came: Tensor) -> None:
        """Take steps `(..., F)`."""
        self.metric.update((predicted / self.unit).flatten(), (came / self.unit).flatten())

    def compute(self) -> Tensor:
        return self.metric.compute()  # type: ignore[no-any-return]

    def reset(self) -> None:
        super().reset()
        self.metric.reset()
