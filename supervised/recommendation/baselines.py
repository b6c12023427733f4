"""Simple methods for ratings, fitted and tested on the same splits as the model: means, biases, and alternating least
squares."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lab.data.base import DataModule
from lab.data.loader import testing_batches, training_batches

CPU = torch.device("cpu")
DAMPING = 10.0
"""Ridge penalty of biases where nothing is known of their spread, as in the library Surprise for items."""
SWEEPS = 10  # the validation RMSE of generated ratings no longer changes then


class Table(NamedTuple):
    """Users and items `(N,)`, their ratings `(N,)`, and the numbers of users and items."""

    users: Tensor
    items: Tensor
    ratings: Tensor
    sizes: tuple[int, int]


def tables(data: DataModule, device: torch.device) -> tuple[Table, Table]:
    """Return the training and the test ratings of prepared data with the inputs `user` and `item`."""
    assert isinstance(data.spec.input, dict)
    sizes = (data.spec.input["user"].vocab or 0, data.spec.input["item"].vocab or 0)

    def table(batches: list[tuple[dict[str, Tensor], Tensor]]) -> Table:
        users, items = (torch.cat([pair[key] for pair, _ in batches]) for key in ("user", "item"))
        return Table(users, items, torch.cat([ratings for _, ratings in batches]), sizes)

    train, test = training_batches(data, device, seed=0), testing_batches(data, device)
    return table([(x, y) for x, y in train]), table([(x, y) for x, y in test])


def item_means(train: Table) -> tuple[Tensor, Tensor]:
    """Return the mean training rating of each item, or that of all ratings where it has none, and how many it has."""
    count = torch.bincount(train.items, minlength=train.sizes[1]).float()
    total = torch.zeros_like(count).index_add_(0, train.items, train.ratings)
    return torch.where(count > 0, total / count.clamp(min=1), train.ratings.mean()), count


def baselines(data: DataModule, low: float, high: float) -> dict[str, dict[str, float]]:
    """Return the test RMSE and MAE of each method, by its name. Predictions are clipped to `low` and `high`."""
    train, test = tables(data, CPU)
    predicted = {
        "global mean": train.ratings.mean().expand_as(test.ratings),
        "item means": item_means(train)[0][test.items],
        "user and item biases": alternating_least_squares(train, 0, DAMPING, DAMPING).predict(test),
    }
    return {name: _errors(ratings.clamp(low, high), test) for name, ratings in predicted.items()}


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
    fitted = alternating_least_squares(train, generator.rank, *ridges).predict(test)
    return {
        "ALS, rank and noise known": _errors(fitted.clamp(low, high), test),
        "expected ratings": {"test/rmse": generator.best},
    }


def _errors(predicted: Tensor, test: Table) -> dict[str, float]:
    error = predicted - test.ratings
    return {"test/rmse": float(error.square().mean().sqrt()), "test/mae": float(error.abs().mean())}


class Factors(NamedTuple):
    """The mean; and for each user `(U, 1 + rank)` and item `(I, 1 + rank)` its bias, then its factors."""

    mean: Tensor
    users: Tensor
    items: Tensor

    def predict(self, pairs: Table) -> Tensor:
        """Return ratings `(N,)`, not clipped."""
        p, q = self.users[pairs.users], self.items[pairs.items]
        return (self.mean + p[:, 0] + q[:, 0] + (p[:, 1:] * q[:, 1:]).sum(1)).float()


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
