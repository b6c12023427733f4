"""The simplest forecasts that a sceptic would try, on the same test windows as the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lab.data.loader import testing_batches
from lab.data.sets.series import Series
from lab.nn.differencing import Differencing

if TYPE_CHECKING:
    from torchmetrics import Metric

CPU = torch.device("cpu")


def simple_forecasts(
    data: Series, metrics: Callable[[], Mapping[str, Metric]], *, log: bool
) -> dict[str, dict[str, float]]:
    """Return the test metrics of simple forecasts, by the name of the method.

    They are persistence; where there are seasons, the seasonal naive forecast with drift; and an autoregression over
    one season and a step, fitted by least squares to the steps before the test.

    Args:
        data: prepared.
        metrics: makes fresh metrics of predicted and true steps, by name.
        log: whether the last two work on logarithms.
    """
    columns = data.values.shape[1]
    how = " on logs" if log else ""
    methods = {"persistence": Differencing(columns, lags=(1,)).double()}
    if data.period > 1:
        methods[f"seasonal naive with drift{how}"] = Differencing(columns, lags=(data.period, 1), log=log).double()
    order = data.period + 1
    forecasts = {name: _unchanged(method) for name, method in methods.items() if method.lost < data.past}
    if order <= data.past:
        weights = least_squares(_level(data.values[: data.bounds[2]].double(), log=log), order)
        forecasts[f"AR({order}){how}"] = _autoregression(weights, log=log)
    found: dict[str, dict[str, float]] = {}
    for name, forecast in forecasts.items():
        measured = metrics()
        for x, y in testing_batches(data, CPU):
            predicted = forecast(x.double(), y.shape[1])
            for metric in measured.values():
                metric.update(predicted.float().flatten(), y.flatten())
        found[name] = {f"test/{key}": float(metric.compute()) for key, metric in measured.items()}
    return found


Forecast = Callable[[Tensor, int], Tensor]
"""From windows `(B, T, F)` and a number of steps H to the next steps `(B, H, F)`."""


def _unchanged(method: Differencing) -> Forecast:
    """Return the forecast that the differences of these lags stay 0."""

    def forecast(x: Tensor, horizon: int) -> Tensor:
        return method.integrate(x.new_zeros(len(x), horizon, x.shape[2]), x)

    return forecast


def least_squares(series: Tensor, order: int) -> Tensor:
    """Return the weights `(order + 1, F)` of an autoregression of each column of a series `(N, F)`: those of the last
    `order` steps, the oldest first, and the constant."""
    windows = series.unfold(0, order + 1, 1)  # (M, F, order + 1)
    ones = torch.ones(len(windows), 1, dtype=series.dtype)
    fitted = [
        torch.linalg.lstsq(torch.cat([column[:, :-1], ones], 1), column[:, -1:], driver="gelsd").solution
        for column in windows.unbind(1)
    ]
    return torch.cat(fitted, 1)


def _autoregression(weights: Tensor, *, log: bool) -> Forecast:
    """Return the forecast of an autoregression, which goes on from its own forecasts where there are several steps."""
    order = len(weights) - 1

    def forecast(x: Tensor, horizon: int) -> Tensor:
        steps = list(_level(x, log=log).unbind(1))
        for _ in range(horizon):
            steps.append((torch.stack(steps[-order:]) * weights[:-1, None]).sum(0) + weights[-1])
        ahead = torch.stack(steps[-horizon:], 1)
        return ahead.exp() if log else ahead

    return forecast


def _level(series: Tensor, *, log: bool) -> Tensor:
    return series.log() if log else series
