"""Matrix factorization with biases (Koren, Bell & Volinsky 2009, Matrix Factorization Techniques for Recommender
Systems)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError

from lab.capabilities import Prediction
from lab.config.types import PositiveFloat, PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import training_batches
from lab.data.spec import DataSpec, InputSpec, Values
from lab.errors import ConfigError
from lab.training import Model
from supervised.recommendation.baselines import baselines, bounds, item_means, tables
from supervised.recommendation.popularity import by_popularity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image
    from torchmetrics import Metric


class Factorization(Model):
    """Predicts a rating as mean + bias of the user + bias of the item + dot product of their factors, by least squares.

    The paper's penalty on biases and factors (equation 5) is `trainer.l2`; the mean has none. Predictions are clipped
    to the scale where they are measured, not where they are learned.

    Args:
        rank: number of factors of each user and each item.
        scale: the lowest and the highest rating there is.
        spread: standard deviation of the factors before training. Where all are 0, none has a gradient.
    """

    family = "supervised"
    descriptions = {
        "test/rmse": "square root of the mean squared error of the test ratings, in stars",
        "test/mae": "mean absolute error of the test ratings, in stars",
    }

    def __init__(
        self,
        spec: DataSpec,
        *,
        rank: PositiveInt = 4,
        scale: tuple[float, float] = (1.0, 5.0),
        spread: PositiveFloat = 0.1,
    ) -> None:
        super().__init__(spec)
        users, items = _sizes(spec)
        if scale[0] >= scale[1]:
            raise ConfigError(f"model.scale must be the lowest and the highest rating, received {list(scale)}")
        self.low, self.high = scale
        self.mean = nn.Parameter(torch.tensor((self.low + self.high) / 2))
        self.user_bias, self.item_bias = (nn.Embedding(size, 1) for size in (users, items))
        self.user_factors, self.item_factors = (nn.Embedding(size, rank) for size in (users, items))
        for bias in (self.user_bias, self.item_bias):
            nn.init.zeros_(bias.weight)
        for factors in (self.user_factors, self.item_factors):
            nn.init.normal_(factors.weight, std=spread)
        self.means: tuple[Tensor, Tensor] | None = None
        self.tested: list[Tensor] = []

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """Return ratings `(B,)` for ids `(B,)` of users and items, not clipped."""
        biases = self.user_bias(user) + self.item_bias(item)  # (B, 1)
        return self.mean + biases.squeeze(1) + (self.user_factors(user) * self.item_factors(item)).sum(1)  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        pair, ratings = batch
        return {"loss": F.mse_loss(self(**pair), ratings)}

    def metrics(self) -> dict[str, Metric]:
        return {"rmse": MeanSquaredError(squared=False), "mae": MeanAbsoluteError()}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        pair, ratings = batch
        predicted = self(**pair)
        clipped = predicted.clamp(self.low, self.high)
        for metric in metrics.values():
            metric.update(clipped, ratings)
        if self.means is not None:
            mean, count = (table[pair["item"]] for table in self.means)
            self.tested.append(torch.stack([count, (clipped - ratings).square(), (mean - ratings).square()]))
        return {"loss": F.mse_loss(predicted, ratings)}

    def adapt(self, data: DataModule) -> None:
        ratings = torch.cat([ratings for _, ratings in training_batches(data, self.device, seed=0)])
        low, high = float(ratings.min()), float(ratings.max())
        if low < self.low or high > self.high:
            raise ConfigError(
                f"model.scale must hold all ratings, which are from {low:g} to {high:g}, received [{self.low:g}, "
                f"{self.high:g}]; set --model.scale=[{low:g},{high:g}]"
            )

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        self.means, self.tested = item_means(tables(data, device)[0]), []

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return baselines(data, self.low, self.high)

    def bounds(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return bounds(data, self.low, self.high)

    def predict(self, inputs: Mapping[str, Tensor]) -> list[Prediction]:
        """Return the rating of each pair of ids, `user` and `item`, `(B,)` each, clipped to the scale."""
        with self.at_rest(seed=0):
            ratings = self(**{key: ids.to(self.device) for key, ids in inputs.items()}).clamp(self.low, self.high)
        return [Prediction(value=rating) for rating in ratings.tolist()]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """The test error by the popularity of items, beside that of item means."""
        return {"error_by_popularity": by_popularity(*torch.cat(self.tested, 1))} if self.tested else {}


def _sizes(spec: DataSpec) -> tuple[int, int]:
    """Return the numbers of users and items. Raises ConfigError for other data."""
    parts = {} if isinstance(spec.input, InputSpec) else spec.input
    sizes = [parts[key].vocab for key in ("user", "item") if key in parts]
    if len(parts) != 2 or len(sizes) != 2 or not all(sizes) or spec.target != Values(()):
        raise ConfigError(
            "Factorization needs pairs of ids, `user` and `item`, that each have one number to predict, but this data "
            f"set has the inputs {', '.join(sorted(parts)) or 'of one kind'}; expected a data set such as "
            "lab.data.Ratings"
        )
    users, items = sizes
    assert users is not None
    assert items is not None
    return users, items
