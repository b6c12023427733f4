"""Neural collaborative filtering (He, Liao, Zhang, Nie, Hu & Chua 2017, Neural Collaborative Filtering)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lab.config.types import PositiveFloat, PositiveInt, Probability
from lab.data.spec import DataSpec
from lab.errors import ConfigError
from lab.nn.layers import Activation, dense
from supervised.recommendation.recommender import Recommender


class NeuralCF(Recommender):
    """NeuMF, the paper's fusion of two networks with embeddings of their own (section 3.4, equation 12): products of
    factors, which are weighted (GMF), beside a multi-layer perceptron over the user's and the item's embedding.

    The paper tells items that a user came across from others, by cross-entropy. Here the model predicts ratings, by
    least squares, with biases as in matrix factorization. Both parts are trained together from the start.

    Args:
        rank: number of factors of each user and each item.
        hidden: width of each layer of the perceptron; the embeddings of user and item have half the first width each.
        activation: after every layer.
        dropout: probability of dropping a unit of the perceptron.
        scale: the lowest and the highest rating there is.
        spread: standard deviation of factors and embeddings before training.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        rank: PositiveInt = 8,
        hidden: Sequence[PositiveInt] = (32, 16, 8),
        activation: Activation = "relu",
        dropout: Probability = 0.0,
        scale: tuple[float, float] = (1.0, 5.0),
        spread: PositiveFloat = 0.1,
    ) -> None:
        super().__init__(spec, scale=scale)
        if not hidden or hidden[0] % 2:
            raise ConfigError(
                f"model.hidden must begin with an even width, half for the user and half for the item, received "
                f"{list(hidden)}"
            )
        half = hidden[0] // 2
        self.user_factors, self.item_factors = (nn.Embedding(size, rank) for size in (self.users, self.items))
        self.user_embedding, self.item_embedding = (nn.Embedding(size, half) for size in (self.users, self.items))
        for table in (self.user_factors, self.item_factors, self.user_embedding, self.item_embedding):
            nn.init.normal_(table.weight, std=spread)
        self.perceptron = dense(2 * half, hidden, activation, dropout=dropout)
        self.output = nn.Linear(rank + hidden[-1], 1, bias=False)  # the mean is a bias already
        nn.init.ones_(self.output.weight[:, :rank])  # products count as in matrix factorization, until it is learnt

    def interaction(self, user: Tensor, item: Tensor) -> Tensor:
        products = self.user_factors(user) * self.item_factors(item)  # (B, rank)
        together = self.perceptron(torch.cat([self.user_embedding(user), self.item_embedding(item)], 1))
        return self.output(torch.cat([products, together], 1)).squeeze(1)  # type: ignore[no-any-return]
