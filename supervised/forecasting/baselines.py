"""The simplest forecasts that a sceptic would try, on the same test windows as the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lab.data.sets.series import Series
from lab.nn.differencing import Differencing

if TYPE_CHECKING:
    from torchmetrics import Metric

# Dimensions: B windows, T steps of the past, H steps to predict, F columns, K other inputs.

Forecast = Callable[[Tensor, int], Tensor]
"""From windows `(B, T, F + K)` and a number of steps H to the next steps `(B, H, F)`."""


def simple_forecasts(
    data: Series, metrics: Callable[[], Mapping[str, Metric]], *, log: bool
) -> dict[str, dict[str, float]]:
    """Return the test metrics of simple forecasts, by the name of the method.

    They are persistence; where there are seasons, the seasonal naive forecast, without and with drift; and an
    autoregression, fitted by least squares to the steps before the test. Its order is one season and a step, or the
    past that the model sees where that is shorter or there are no seasons. If the time of the year is an input and one
    step is predicted, there is a second one that has it too. Methods look back as far as they need, also beyond the
    past of the model.

    Args:
        data: prepared.
        metrics: makes fresh metrics of predicted and true steps, by name.
        log: whether the forecast with drift and the autoregression work on logarithms.
    """
    found: dict[str, dict[str, float]] = {}
    for name, (reach, forecast) in _methods(data, log=log).items():
        if reach > data.bounds[2]:
            continue
        measured = metrics()
        for x, y in data.tested_with(reach):
            predicted = forecast(x.double(), y.shape[1])
            for metric in measured.values():
                metric.cpu().update(predicted.float(), y)
        found[name] = {f"test/{key}": float(metric.compute()) for key, metric in measured.items()}
    return found


def _methods(data: Series, *, log: bool) -> dict[str, tuple[int, Forecast]]:
    """Return the methods by name, each with the steps that it looks back."""
    columns, season = data.values.shape[1], data.period
    how = " on logs" if log else ""
    unchanged = {"persistence": Differencing(columns, lags=(1,))}
    if season > 1:
        unchanged["seasonal naive"] = Differencing(columns, lags=(season,))
        unchanged[f"seasonal naive with drift{how}"] = Differencing(columns, lags=(season, 1), log=log)
    methods = {name: (method.lost, _unchanged(method.double(), columns)) for name, method in unchanged.items()}
    order = season + 1 if 1 < season < data.past else data.past
    series, known = _level(data.values[: data.bounds[2]].double(), log=log), data.inputs[: data.bounds[2], columns:]
    if order < len(series):
        methods[f"AR({order}){how}"] = order, _autoregression(least_squares(series, order), order, columns, log=log)
    if order < len(series) and data.yearly and data.horizon == 1:
        weights = least_squares(series, order, known.double())
        methods[f"AR({order}){how} with the time of the year"] = (
            order,
            _autoregression(weights, order, columns, log=log),
        )
    return methods


def _unchanged(method: Differencing, columns: int) -> Forecast:
    """Return the forecast that the differences of these lags stay 0."""

    def forecast(x: Tensor, horizon: int) -> Tensor:
        return method.integrate(x.new_zeros(len(x), horizon, columns), x[..., :columns])

    return forecast


def least_squares(series: Tensor, order: int, known: Tensor | None = None) -> Tensor:
    """Return the weights `(order + K + 1, F)` of an autoregression of each column of a series `(N, F)`: those of the
    last `order` steps, the oldest first; those of what else is known of the last step, `(N, K)`; and the constant."""
    windows = series.unfold(0, order + 1, 1)  # (M, F, order + 1)
    ones = torch.ones(len(windows), 1, dtype=series.dtype)
    others = ones[:, :0] if known is None else known[order - 1 : -1]
    fitted = [
        torch.linalg.lstsq(torch.cat([column[:, :-1], others, ones], 1), column[:, -1:], driver="gelsd").solution
        for column in windows.unbind(1)
    ]
    return torch.cat(fitted, 1)


def _autoregression(weights: Tensor, order: int, columns: int, *, log: bool) -> Forecast:
    """Return the forecast of an autoregression, which goes on from its own forecasts where there are several steps."""
    others = weights[order:-1]  # (K, F)

    def forecast(x: Tensor, horizon: int) -> Tensor:
        steps = list(_level(x[..., :columns], log=log).unbind(1))
        constant = weights[-1] + (x[:, -1, columns:] @ others if len(others) else 0)
        for _ in range(horizon):
            steps.append((torch.stack(steps[-order:]) * weights[:order, None]).sum(0) + constant)
        ahead = torch.stack(steps[-horizon:], 1)
        return ahead.exp() if log else ahead

    return forecast


def _level(series: Tensor, *, log: bool) -> Tensor:
    return series.log() if log else series
