"""Simple methods for ratings, fitted and tested on the same splits as the model: means, biases, and alternating least
squares."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lab.data.base import DataModule
from supervised.recommendation.ranking import Table, ranking, tables

CPU = torch.device("cpu")
DAMPING = 10.0
"""Ridge penalty of biases where nothing is known of their spread, as in the library Surprise for items."""
SWEEPS = 10  # the validation RMSE of generated ratings no longer changes then


def item_means(train: Table) -> tuple[Tensor, Tensor]:
    """Return the mean training rating of each item, or that of all ratings where it has none, and how many it has."""
    count = torch.bincount(train.items, minlength=train.sizes[1]).float()
    total = torch.zeros_like(count).index_add_(0, train.items, train.ratings)
    return torch.where(count > 0, total / count.clamp(min=1), train.ratings.mean()), count


def baselines(data: DataModule, low: float, high: float) -> dict[str, dict[str, float]]:
    """Return the test metrics of each method, by its name. Predictions are clipped to `low` and `high`. Popularity, the
    number of training ratings of an item, only ranks."""
    train, test = tables(data, CPU)
    mean, (means, counts) = train.ratings.mean(), item_means(train)

    def same(scores: Tensor) -> dict[str, float]:
        """The same list for all users."""
        return _ranked(lambda users: scores.expand(len(users), -1), train, test, low, high)

    biases = alternating_least_squares(train, 0, DAMPING, DAMPING)
    return {
        "global mean": _errors(mean.expand_as(test.ratings).clamp(low, high), test),
        "popularity": same(counts),
        "item means": _errors(means[test.items].clamp(low, high), test) | same(means),
        "user and item biases": _errors(biases.predict(test).clamp(low, high), test)
        | _ranked(biases.all_items, train, test, low, high),
    }


def bounds(data: DataModule, low: float, high: float) -> dict[str, dict[str, float]]:
    """Return the test metrics of what knows how the ratings were generated (`data.generator`): of alternating least
    squares that is told the rank, the variance of the noise and that of biases and factors, and of the expected
    ratings. None for ratings by people.
    """
    generator = getattr(data, "generator", None)
    if generator is None:
        return {}
    train, test = tables(data, CPU)
    ridges = (generator.variance / generator.bias**2, generator.variance / generator.factor**2)
    fitted = alternating_least_squares(train, generator.rank, *ridges)
    return {
        "ALS, rank and noise known": _errors(fitted.predict(test).clamp(low, high), test)
        | _ranked(fitted.all_items, train, test, low, high),
        "expected ratings": {"test/rmse": generator.best},
    }


def _errors(predicted: Tensor, test: Table) -> dict[str, float]:
    error = predicted - test.ratings
    return {"test/rmse": float(error.square().mean().sqrt()), "test/mae": float(error.abs().mean())}


def _ranked(score: Callable[[Tensor], Tensor], train: Table, test: Table, low: float, high: float) -> dict[str, float]:
    return {f"test/{name}": value for name, value in ranking(score, train, test, low, high).items()}


class Factors(NamedTuple):
    """The mean; and for each user `(U, 1 + rank)` and item `(I, 1 + rank)` its bias, then its factors."""

    mean: Tensor
    users: Tensor
    items: Tensor

    def predict(self, pairs: Table) -> Tensor:
        """Return ratings `(N,)`, not clipped."""
        p, q = self.users[pairs.users], self.items[pairs.items]
        return (self.mean + p[:, 0] + q[:, 0] + (p[:, 1:] * q[:, 1:]).sum(1)).float()

    def all_items(self, users: Tensor) -> Tensor:
        """Return the ratings of all items by some users, `(u, I)`."""
        p = self.users[users]
        return (self.mean + p[:, :1] + self.items[:, 0] + p[:, 1:] @ self.items[:, 1:].T).float()


def alternating_least_squares(train: Table, rank: int, bias_ridge: float, factor_ridge: float) -> Factors:
    """Fit biases and factors by ridge regression of the users' on the items' and back (Zhou et al. 2008, section 3).

    Each step solves for all users, or all items, exactly. With the ridges `noise variance / variance of the parameter`,
    the result is a maximum of the posterior of the model that Gaussian biases, factors and noise make.
    """
    ratings, mean = train.ratings.double(), train.ratings.double().mean()
    ridge = torch.tensor([bias_ridge, *[factor_ridge] * rank], dtype=torch.double)
    drawn = torch.Generator().manual_seed(0)
    users = torch.zeros(train.sizes[0], 1 + rank, dtype=torch.double)
    items = 0.5 * torch.randn(train.sizes[1], 1 + rank, dtype=torch.double, generator=drawn)
    items[:, 0] = 0
    for _ in range(SWEEPS):
        users = _regress(train.users, items[train.items], ratings - mean, ridge, train.sizes[0])
        items = _regress(train.items, users[train.users], ratings - mean, ridge, train.sizes[1])
    return Factors(mean, users, items)


def _regress(rows: Tensor, others: Tensor, ratings: Tensor, ridge: Tensor, count: int) -> Tensor:
    """Return `(count, 1 + rank)`: the bias and factors of each row that fit its ratings best, given the `others`."""
    design = torch.cat([torch.ones_like(others[:, :1]), others[:, 1:]], 1)  # (N, 1 + rank)
    wanted = ratings - others[:, 0]
    width = len(ridge)
    gram = torch.zeros(count, width, width, dtype=torch.double)
    gram.index_add_(0, rows, design[:, :, None] * design[:, None, :])
    right = torch.zeros(count, width, dtype=torch.double).index_add_(0, rows, design * wanted[:, None])
    solved: Tensor = torch.linalg.solve(gram + ridge.diag(), right)
    return solved
