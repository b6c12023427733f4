"""What all models that continue a series share: scaling, loss, figures in the unit of the data, baselines."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanMetric, MeanSquaredError

from lab.capabilities import Prediction
from lab.config.roles import Roles
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import as_batches, validation_batches
from lab.data.sets.series import Series
from lab.data.spec import DataSpec, Values
from lab.errors import ConfigError
from lab.nn.differencing import Differencing
from lab.nn.losses import LOSS_ROLES, RegressionLoss
from lab.training.exportable import Exportable
from supervised.forecasting.bands import Bands, OfSteps
from supervised.forecasting.baselines import simple_forecasts
from supervised.forecasting.pictures import drawn_forecasts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image
    from torchmetrics import Metric

# Dimensions: B windows, T steps of the past, C changes in them, H steps to predict, F columns, K other inputs, which
# are known of each step, such as the time of the year.

COVERAGE = 0.9


class Forecasting(Exportable):
    """Base of models that predict the next H steps of a series from the last T. A subclass predicts their changes.

    The changes are those of `lab.nn.differencing`, standardised over the training part. The loss is one of the changes;
    RMSE and MAE are of the steps, in the unit of the data. Each forecast has a band (`Bands`),
    whose margins are taken from the validation part, or from the training part where there is none.

    Args:
        lags: of the differences; none to predict the steps themselves.
        log: take the logarithm first.
        coverage: share of the steps that the bands should cover.
        loss: squared error of the changes, or another (`lab.nn.losses`).
    """

    family = "supervised"
    results = ("steps",)
    roles = Roles(added={"coverage": COVERAGE}) | LOSS_ROLES
    deviation: Tensor

    def __init__(
        self, spec: DataSpec, *, lags: Sequence[int], log: bool, coverage: float, loss: RegressionLoss
    ) -> None:
        super().__init__(spec)
        self.past, inputs = spec.require_one_input(type(self).__name__).shape
        if not isinstance(spec.target, Values) or len(spec.target.shape) != 2:
            raise ConfigError(f"{type(self).__name__} needs steps (H, F) to predict, but the data has other targets")
        self.names, (self.horizon, self.columns) = spec.target.names, spec.target.shape
        self.known = inputs - self.columns  # K
        self.loss = loss
        self.scaling = Differencing(self.columns, lags=lags, log=log)
        self.changes = self.past - self.scaling.lost
        if self.changes < 1:
            raise ConfigError(
                f"data.past must be more than {self.scaling.lost}, the sum of model.lags, received {self.past}"
            )
        self.bands = Bands(self.horizon, self.columns, coverage)
        self.register_buffer("deviation", torch.ones(self.columns), persistent=False)
        unit = ", ".join(self.names)
        self.tested: list[tuple[Tensor, Tensor]] = []
        """Forecasts and what came, `(B, H, F)` each, of the test."""
        self.times: Sequence[str] = ()
        """Labels of the test steps; known from the test on."""
        self.descriptions = {
            "test/rmse": f"root of the mean squared error of all predicted steps, in the unit of the data ({unit})",
            "test/mae": f"mean absolute error of all predicted steps, in the unit of the data ({unit})",
            "test/loss": "what is trained on: by default the mean squared error of the standardised changes",
            "test/scaled_mse": "mean squared error in units of each column's standard deviation in the training part",
            "test/scaled_mae": "mean absolute error in the same units",
            "test/coverage": f"share of the predicted steps that came inside their bands, which should be {coverage:g}",
            "test/band_width": "mean width of the bands, in the unit of the data",
            "pictures/forecast": f"forecasts of the test beside what came, with bands that should cover {coverage:.0%}",
            "pictures/windows": "single forecasts of the test, after the steps before them, with the same bands",
        }

    @abstractmethod
    def predict_changes(self, z: Tensor) -> Tensor:
        """Return the next changes `(B, H, F)` after the changes `z`, `(B, C, F + K)`, all standardised but the last K
        columns."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the next steps `(B, H, F)` after `x`, `(B, T, F + K)`, in the unit of the data."""
        steps = self._steps(x)
        return self.scaling.inverse(self.predict_changes(self._with_known(self.scaling(steps), x)), steps)

    @property
    def input_preparation(self) -> str | None:
        of = f"differences ({', '.join(map(str, self.scaling.lags))})" if self.scaling.lags else "steps"
        return f"as standardised {of}{' of logarithms' if self.scaling.log else ''}"

    def band(self, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """Return the lower and the upper end of the bands around forecasts, `(B, H, F)` each."""
        level, margins = self._level(predicted), self.bands.margins
        low, high = level - margins, level + margins
        return (low.exp(), high.exp()) if self.scaling.log else (low, high)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self._loss_and_changes(batch)[0]}

    def metrics(self) -> dict[str, Metric]:
        banded = {"coverage": MeanMetric(), "band_width": MeanMetric()}
        return self.errors() | (banded if self.bands.fitted else {})

    def errors(self) -> dict[str, Metric]:
        """Return fresh metrics of predicted and true steps; those on a common scale where there are several columns."""
        one = torch.ones_like(self.deviation)
        found = {"rmse": OfSteps(MeanSquaredError(squared=False), one), "mae": OfSteps(MeanAbsoluteError(), one)}
        if self.columns > 1:
            found["scaled_mse"] = OfSteps(MeanSquaredError(), self.deviation)
            found["scaled_mae"] = OfSteps(MeanAbsoluteError(), self.deviation)
        return {**found}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        x, y = batch
        loss, changes = self._loss_and_changes(batch)
        predicted = self.scaling.inverse(changes, self._steps(x))
        low, high = self.band(predicted)
        banded = {"coverage": ((low <= y) & (y <= high)).float(), "band_width": high - low}
        for name, metric in metrics.items():
            metric.update(banded[name]) if name in banded else metric.update(predicted, y)
        if self.times:
            self.tested.append((predicted, y))
        return {"loss": loss}

    def _steps(self, x: Tensor) -> Tensor:
        """Return the columns to predict of `(B, T, F + K)`."""
        return x[..., : self.columns]

    def _with_known(self, z: Tensor, x: Tensor) -> Tensor:
        """Return the changes `(B, C, F)` with the other inputs of their steps in `x`, `(B, C, F + K)`."""
        return torch.cat([z, x[:, self.scaling.lost :, self.columns :]], 2)

    def _level(self, steps: Tensor) -> Tensor:
        return steps.log() if self.scaling.log else steps

    def _loss_and_changes(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the loss on the scale of the changes, and the predicted changes `(B, H, F)`."""
        x, y = batch
        z = self.scaling(torch.cat([self._steps(x), y], 1))  # (B, C + H, F)
        predicted = self.predict_changes(self._with_known(z[:, : self.changes], x))
        return self.loss(predicted, z[:, self.changes :]), predicted

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
        deviation = series.training_part.std(0, correction=0)
        self.deviation.copy_(torch.where(deviation > 0, deviation, 1.0))  # a column may change only later

    def settle(self, data: DataModule) -> None:
        """Take the margins of the bands."""
        batches = validation_batches(data, self.device) or as_batches(data.unchanged(self.device), self.device)
        errors = []
        with self.at_rest(seed=0):
            for x, y in islice(batches, 1 if self.fast_dev_run else None):
                errors.append((self._level(y) - self._level(self(x))).abs())
        self.bands.fit(torch.cat(errors))

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        series = require_series(data, type(self).__name__)
        self.times = series.times[series.bounds[2] :]

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return simple_forecasts(require_series(data, type(self).__name__), self.errors, log=self.scaling.log)

    def predict(self, inputs: Tensor) -> list[Prediction]:
        """Return the next H steps of each window, `(B, T, F + K)` in the unit of the data: a number where H and F are
        1, else all columns of the first step, then those of the second, and so on.

        Raises ConfigError where the model takes logarithms and a step is not above 0.
        """
        least = float(self._steps(inputs).min())
        if self.scaling.log and least <= 0:
            raise ConfigError(f"the model takes logarithms of the steps, but their least value is {least:g}")
        with self.at_rest(seed=0):
            steps = self(inputs.to(self.device)).flatten(1).tolist()
        return [Prediction(value=one if len(one) > 1 else one[0]) for one in steps]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """The forecasts of the test beside what came, with their bands, for the first columns."""
        if not self.times:
            return {}
        predicted, came = (torch.cat(parts) for parts in zip(*self.tested, strict=True))
        low, high = self.band(predicted)
        return drawn_forecasts(predicted.cpu(), came.cpu(), (low.cpu(), high.cpu()), self.times, self.names)


def require_series(data: DataModule, who: str) -> Series:
    """Return the data. Raises ConfigError where it is no series."""
    if not isinstance(data, Series):
        raise ConfigError(f"{who} needs a series, lab.data.Series, received {type(data).__name__}")
    return data
