"""What all models of ratings share: biases of users and items, the measures, and the baselines beside them."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError

from lab.capabilities import Prediction
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import training_batches
from lab.data.spec import DataSpec, InputSpec, Values
from lab.errors import ConfigError
from lab.training import Model
from supervised.recommendation.baselines import baselines, bounds, item_means
from supervised.recommendation.popularity import by_popularity
from supervised.recommendation.ranking import FIRST, Table, ranking, tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image
    from torchmetrics import Metric


class Recommender(Model):
    """Predicts a rating as mean + bias of the user + bias of the item + what a subclass makes of the pair, by least
    squares. Predictions are clipped to the scale where they are measured, not where they are learned.

    Args:
        scale: the lowest and the highest rating there is.
    """

    family = "supervised"
    descriptions = {
        "test/rmse": "square root of the mean squared error of the test ratings, in stars",
        "test/mae": "mean absolute error of the test ratings, in stars",
        "test/ndcg": f"how well a user's test items are ordered: discounted gain of the first {FIRST} over the largest "
        "there is, mean over the users",
        "test/hit_rate": f"share of the users for whom one of the first {FIRST} items that they have not rated in the "
        "training split is one that they like in the test split; a model of ratings does not learn which items a user "
        "comes across",
    }

    def __init__(self, spec: DataSpec, *, scale: tuple[float, float] = (1.0, 5.0)) -> None:
        super().__init__(spec)
        users, items = _sizes(spec, type(self).__name__)
        if scale[0] >= scale[1]:
            raise ConfigError(f"model.scale must be the lowest and the highest rating, received {list(scale)}")
        self.low, self.high = scale
        self.mean = nn.Parameter(torch.tensor((self.low + self.high) / 2))
        self.users, self.items = users, items
        self.user_bias, self.item_bias = (nn.Embedding(size, 1) for size in (users, items))
        for bias in (self.user_bias, self.item_bias):
            nn.init.zeros_(bias.weight)
        self.known: tuple[Table, Table] | None = None
        """The training and the test ratings, while it is tested."""
        self.means: tuple[Tensor, Tensor] | None = None
        self.tested: list[Tensor] = []

    @abstractmethod
    def interaction(self, user: Tensor, item: Tensor) -> Tensor:
        """Return for ids `(B,)` of users and items what the rating has beyond the mean and the biases, `(B,)`."""

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """Return ratings `(B,)` for ids `(B,)` of users and items, not clipped."""
        biases = self.user_bias(user) + self.item_bias(item)  # (B, 1)
        return self.mean + biases.squeeze(1) + self.interaction(user, item)  # type: ignore[no-any-return]

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
        self.known, self.tested = tables(data, device), []
        self.means = item_means(self.known[0])

    def on_test_epoch_end(self) -> None:
        if self.known:
            ordered = ranking(self._all_items, *self.known, self.low, self.high)
            self.log_dict({f"test/{name}": value for name, value in ordered.items()})
        super().on_test_epoch_end()

    def _all_items(self, users: Tensor) -> Tensor:
        """Return the ratings of all items by some users, `(u, I)`."""
        items = torch.arange(self.items, device=users.device)
        return self(users.repeat_interleave(self.items), items.repeat(len(users))).view(len(users), self.items)  # type: ignore[no-any-return]

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


def _sizes(spec: DataSpec, who: str) -> tuple[int, int]:
    """Return the numbers of users and items. Raises ConfigError for other data."""
    parts = {} if isinstance(spec.input, InputSpec) else spec.input
    sizes = [parts[key].vocab for key in ("user", "item") if key in parts]
    if len(parts) != 2 or len(sizes) != 2 or not all(sizes) or spec.target != Values(()):
        raise ConfigError(
            f"{who} needs pairs of ids, `user` and `item`, that each have one number to predict, but this data "
            f"set has the inputs {', '.join(sorted(parts)) or 'of one kind'}; expected a data set such as "
            "lab.data.Ratings"
        )
    users, items = sizes
    assert users is not None
    assert items is not None
    return users, items
