"""Factorization learns ratings of low rank, and its baselines are what they say."""

from __future__ import annotations

import pytest
import torch

import lab
from lab.data import DataSpec, InputSpec, Ratings
from lab.data.batch import Batch
from lab.data.spec import Values
from lab.errors import ConfigError
from supervised.recommendation.baselines import Table, alternating_least_squares, item_means
from supervised.recommendation.factorization import Factorization

PAIRS = DataSpec({"user": InputSpec((), "int64", vocab=20), "item": InputSpec((), "int64", vocab=30)}, Values(()))


def low_rank(rank: int = 2) -> Table:
    """All ratings of 20 users and 30 items, without noise."""
    torch.manual_seed(0)
    users, items = torch.cartesian_prod(torch.arange(20), torch.arange(30)).T
    ratings = 3 + torch.randn(20, 1) + torch.randn(30) + torch.randn(20, rank) @ torch.randn(rank, 30)
    return Table(users, items, ratings.flatten(), (20, 30))


def test_learns_generated_ratings() -> None:
    """It comes close to alternating least squares that knows how the ratings were generated."""
    settings = {"data.name": "generated-ratings", "trainer.max_epochs": 8, "threads": 1}
    run = lab.run("recommend-movielens", settings, runs_dir="runs")
    mean, items, biases, told, best = (one["test/rmse"] for one in (*run.baselines.values(), *run.bounds.values()))
    assert [*run.bounds] == ["ALS, rank and noise known", "expected ratings"]
    assert best < told < biases < items < mean
    assert items > 1.3 * best
    assert (run.metrics["test/rmse"] or 9) < 1.1 * told
    assert run.verdict == "not-comparable"
    assert [path.name.rsplit("-", 1)[0] for path in (run.dir / "media").iterdir()] == ["error_by_popularity"]


def test_least_squares_recovers_low_rank() -> None:
    train = low_rank()
    assert alternating_least_squares(train, 2, 1e-3, 1e-3).predict(train) == pytest.approx(train.ratings, abs=0.1)
    biases = alternating_least_squares(train, 0, 1e-3, 1e-3).predict(train)
    assert (biases - train.ratings).square().mean() > 0.5, "ratings of rank 2 are not sums of biases"


def test_least_squares_is_where_the_gradient_is_zero() -> None:
    """It minimises the squared errors and the ridge penalty, as the model does with `trainer.l2`."""
    train, ridge = low_rank(), 3.0
    fitted = alternating_least_squares(train, 2, ridge, ridge)
    users, items = (part.clone().requires_grad_() for part in (fitted.users, fitted.items))
    errors = fitted._replace(users=users, items=items).predict(train) - train.ratings
    loss = errors.square().sum() + ridge * (users.square().sum() + items.square().sum())
    loss.backward()  # type: ignore[no-untyped-call]
    assert items.grad is not None
    assert float(items.grad.abs().max()) < 1e-3 * loss.item()


def test_items_without_ratings_have_the_mean() -> None:
    train = Table(torch.tensor([0, 1]), torch.tensor([1, 1]), torch.tensor([2.0, 5.0]), (2, 3))
    means, counts = item_means(train)
    assert means.tolist() == [3.5, 3.5, 3.5]
    assert counts.tolist() == [0, 2, 0]


def test_measures_are_clipped_to_the_scale() -> None:
    model = Factorization(PAIRS, scale=(1, 5)).eval()
    model.mean.data.fill_(9.0)
    pair = {"user": torch.arange(4), "item": torch.arange(4)}
    metrics = model.metrics()
    losses = model.measure(Batch(pair, torch.full((4,), 5.0)), metrics)
    assert float(metrics["rmse"].compute()) == float(metrics["mae"].compute()) == 0
    assert losses["loss"].item() == pytest.approx(16, rel=0.05)


def test_prediction_is_a_sum_of_biases_and_a_product() -> None:
    model = Factorization(PAIRS, rank=3)
    user, item = torch.tensor([4, 7]), torch.tensor([29, 0])
    model.user_bias.weight.data[4] = 0.5
    expected = 3 + torch.tensor([0.5, 0]) + (model.user_factors.weight[user] * model.item_factors.weight[item]).sum(1)
    assert model(user=user, item=item).tolist() == pytest.approx(expected.tolist())


def test_other_data_and_scales_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs pairs of ids, `user` and `item`"):
        Factorization(DataSpec(InputSpec((4,)), Values(())))
    with pytest.raises(ConfigError, match="lowest and the highest rating, received"):
        Factorization(PAIRS, scale=(5, 1))


def test_people_have_no_generator() -> None:
    """Only generated ratings tell a baseline how they arose."""
    assert Ratings(name="movielens").generator is None
