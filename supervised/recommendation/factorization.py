"""Matrix factorization with biases (Koren, Bell & Volinsky 2009, Matrix Factorization Techniques for Recommender
Systems)."""

from __future__ import annotations

from torch import Tensor, nn

from lab.config.types import PositiveFloat, PositiveInt
from lab.data.spec import DataSpec
from supervised.recommendation.recommender import Recommender


class Factorization(Recommender):
    """Predicts a rating as mean + bias of the user + bias of the item + dot product of their factors, by least squares.

    The paper's penalty on biases and factors (equation 5) is `trainer.l2`; the mean has none. Predictions are clipped
    to the scale where they are measured, not where they are learned.

    Args:
        rank: number of factors of each user and each item.
        scale: the lowest and the highest rating there is.
        spread: standard deviation of the factors before training. Where all are 0, none has a gradient.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        rank: PositiveInt = 4,
        scale: tuple[float, float] = (1.0, 5.0),
        spread: PositiveFloat = 0.1,
    ) -> None:
        super().__init__(spec, scale=scale)
        self.user_factors, self.item_factors = (nn.Embedding(size, rank) for size in (self.users, self.items))
        for factors in (self.user_factors, self.item_factors):
            nn.init.normal_(factors.weight, std=spread)

    def interaction(self, user: Tensor, item: Tensor) -> Tensor:
        return (self.user_factors(user) * self.item_factors(item)).sum(1)  # type: ignore[no-any-return]
