"""What all models that continue a series share: scaling, loss, figures in the unit of the data, baselines."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError

from lab.capabilities import Prediction
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.sets.series import Series
from lab.data.spec import DataSpec, Values
from lab.errors import ConfigError
from lab.nn.differencing import Differencing
from lab.training.exportable import Exportable
from supervised.forecasting.baselines import simple_forecasts
from supervised.forecasting.pictures import forecast_chart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image
    from torchmetrics import Metric

# Dimensions: B windows, T steps of the past, C changes in them, H steps to predict, F columns.


class Forecasting(Exportable):
    """Base of models that predict the next H steps of a series from the last T. A subclass predicts their changes.

    The changes are those of `lab.nn.differencing`, standardised over the training part. The loss is the mean squared
    error of the changes; RMSE and MAE are of the steps, in the unit of the data.

    Args:
        lags: of the differences; none to predict the steps themselves.
        log: take the logarithm first.
    """

    family = "supervised"
    results = ("steps",)

    def __init__(self, spec: DataSpec, *, lags: Sequence[int], log: bool) -> None:
        super().__init__(spec)
        self.past, columns = spec.require_one_input(type(self).__name__).shape
        if not isinstance(spec.target, Values) or len(spec.target.shape) != 2:
            raise ConfigError(f"{type(self).__name__} needs steps (H, F) to predict, but the data has other targets")
        self.names, (self.horizon, self.columns) = spec.target.names, spec.target.shape
        self.scaling = Differencing(columns, lags=lags, log=log)
        self.changes = self.past - self.scaling.lost
        if self.changes < 1:
            raise ConfigError(
                f"data.past must be more than {self.scaling.lost}, the sum of model.lags, received {self.past}"
            )
        unit = ", ".join(self.names)
        self.tested: list[tuple[Tensor, Tensor]] = []
        """Forecasts and what came, `(B, H, F)` each, of the test."""
        self.times: Sequence[str] = ()
        """Labels of the test steps; known from the test on."""
        self.descriptions = {
            "test/rmse": f"root of the mean squared error of all predicted steps, in the unit of the data ({unit})",
            "test/mae": f"mean absolute error of all predicted steps, in the unit of the data ({unit})",
            "test/loss": "mean squared error of the standardised changes",
        }

    @abstractmethod
    def predict_changes(self, z: Tensor) -> Tensor:
        """Return the next changes `(B, H, F)` after the changes `z`, `(B, C, F)`, all standardised."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the next steps `(B, H, F)` after `x`, `(B, T, F)`, both in the unit of the data."""
        return self.scaling.inverse(self.predict_changes(self.scaling(x)), x)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self._loss_and_changes(batch)[0]}

    def metrics(self) -> dict[str, Metric]:
        return {"rmse": MeanSquaredError(squared=False), "mae": MeanAbsoluteError()}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        x, y = batch
        loss, changes = self._loss_and_changes(batch)
        predicted = self.scaling.inverse(changes, x)
        for metric in metrics.values():
            metric.update(predicted.flatten(), y.flatten())
        if self.times:
            self.tested.append((predicted, y))
        return {"loss": loss}

    def _loss_and_changes(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean squared error on the scale of the changes, and the predicted changes `(B, H, F)`."""
        z = self.scaling(torch.cat(list(batch), 1))  # (B, C + H, F)
        predicted = self.predict_changes(z[:, : self.changes])
        return F.mse_loss(predicted, z[:, self.changes :]), predicted

    def on_test_epoch_start(self) -> None:
        super().on_test_epoch_start()
        self.tested = []

    def adapt(self, data: DataModule) -> None:
        series = require_series(data, type(self).__name__)
        if self.scaling.log and not (series.values > 0).all():
            least = float(series.values.min())
            raise ConfigError(
                f"model.log needs a series above 0, but its least value is {least:g}; set --model.log=false"
            )
        self.scaling.fit(series.training_part)

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        series = require_series(data, type(self).__name__)
        self.times = series.times[series.bounds[2] :]

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return simple_forecasts(require_series(data, type(self).__name__), self.metrics, log=self.scaling.log)

    def predict(self, inputs: Tensor) -> list[Prediction]:
        """Return the next H steps of each window, `(B, T, F)` in the unit of the data: a number where H and F are 1,
        else all columns of the first step, then those of the second, and so on.

        Raises ConfigError where the model takes logarithms and a step is not above 0.
        """
        if self.scaling.log and not (inputs > 0).all():
            raise ConfigError(
                f"the model takes logarithms of the steps, but their least value is {float(inputs.min()):g}"
            )
        with self.at_rest(seed=0):
            steps = self(inputs.to(self.device)).flatten(1).tolist()
        return [Prediction(value=one if len(one) > 1 else one[0]) for one in steps]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """The forecasts of the test beside what came, for the first columns."""
        if not self.times:
            return {}
        predicted, came = (torch.cat(parts).cpu() for parts in zip(*self.tested, strict=True))
        return {"forecast": forecast_chart(predicted, came, self.times, self.names)}


def require_series(data: DataModule, who: str) -> Series:
    """Return the data. Raises ConfigError where it is no series."""
    if not isinstance(data, Series):
        raise ConfigError(f"{who} needs a series, lab.data.Series, received {type(data).__name__}")
    return data
