"""DLinear (Zeng et al. 2023, "Are Transformers Effective for Time Series Forecasting?")."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lab.config.types import PositiveInt, Probability
from lab.data.spec import DataSpec
from lab.errors import ConfigError
from lab.nn.losses import SQUARED, RegressionLoss
from supervised.forecasting.base import COVERAGE, Forecasting


class DLinear(Forecasting):
    """A moving average and the rest, each with a linear layer from the past to the future. See `Forecasting`.

    All columns share the two layers, and none sees another. What else is known of the last step, such as the time of
    the year, has a linear layer of its own, which the paper does not have.

    Args:
        kernel: steps of the moving average, odd.
        lags: of the differences; none to predict the steps themselves, as in the paper.
        log: take the logarithm first.
        coverage: share of the steps that the bands should cover.
        loss: squared error of the changes, or one that wild steps pull less, or that of a quantile.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        kernel: PositiveInt = 25,
        lags: Sequence[PositiveInt] = (),
        log: bool = False,
        coverage: Probability = COVERAGE,
        loss: RegressionLoss = SQUARED,
    ) -> None:
        super().__init__(spec, lags=lags, log=log, coverage=coverage, loss=loss)
        if kernel % 2 == 0:
            raise ConfigError(f"model.kernel must be odd, so that the average has a middle, received {kernel}")
        self.kernel = kernel
        self.trend, self.rest = (nn.Linear(self.changes, self.horizon) for _ in range(2))
        self.also = nn.Linear(self.known, self.horizon * self.columns, bias=False) if self.known else None

    def predict_changes(self, z: Tensor) -> Tensor:
        columns = z[..., : self.columns].transpose(1, 2)  # (B, F, C)
        trend = moving_average(columns, self.kernel)
        changes: Tensor = (self.trend(trend) + self.rest(columns - trend)).transpose(1, 2)
        if self.also is None:
            return changes
        also: Tensor = self.also(z[:, -1, self.columns :])
        return changes + also.view_as(changes)


def moving_average(x: Tensor, kernel: int) -> Tensor:
    """Return the mean of the `kernel` steps around each step, `(B, F, C)` as `x`. The first and the last step stand in
    for those before and after."""
    around = F.pad(x, (kernel // 2, kernel // 2), mode="replicate")
    return F.avg_pool1d(around, kernel, stride=1)
