"""Forecasting: models that continue a series, and what they are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from supervised.forecasting.dlinear import DLinear
    from supervised.forecasting.forecaster import Forecaster

__all__ = ["DLinear", "Forecaster"]

__getattr__, __dir__ = lazily(
    __name__,
    {"DLinear": "supervised.forecasting.dlinear", "Forecaster": "supervised.forecasting.forecaster"},
)
