"""Models learn ratings of low rank, and the methods beside them are what they say."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import ndcg_score

import lab
from lab.data import DataSpec, InputSpec, Ratings
from lab.data.batch import Batch
from lab.data.spec import Values
from lab.errors import ConfigError
from supervised.recommendation.baselines import alternating_least_squares, baselines, item_means
from supervised.recommendation.factorization import Factorization
from supervised.recommendation.neural import NeuralCF
from supervised.recommendation.ranking import Table, ndcg, ranking

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
    methods = [one for name, one in (run.baselines | run.bounds).items() if name != "popularity"]
    mean, items, biases, told, best = (one["test/rmse"] for one in methods)
    assert [*run.bounds] == ["ALS, rank and noise known", "expected ratings"]
    assert best < told < biases < items < mean
    assert items > 1.3 * best
    assert (run.metrics["test/rmse"] or 9) < 1.1 * told
    assert run.verdict == "not-comparable"
    assert [path.name.rsplit("-", 1)[0] for path in (run.dir / "media").iterdir()] == ["error_by_popularity"]


def test_neural_filtering_learns_what_a_sum_cannot() -> None:
    """Ratings of rank 2 without noise: it knows them from some, as biases alone do not."""
    torch.manual_seed(0)
    train = low_rank()
    model = NeuralCF(PAIRS, rank=2, hidden=[8, 4], scale=(-9, 9))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(120):
        optimizer.zero_grad()
        loss = model.losses(Batch({"user": train.users, "item": train.items}, train.ratings))["loss"]
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    biases = alternating_least_squares(train, 0, 1e-3, 1e-3).predict(train)
    assert loss.item() < 0.1 * float((biases - train.ratings).square().mean())


def test_neural_filtering_begins_as_factorization() -> None:
    """Where the perceptron counts for nothing, products have the weight 1."""
    model = NeuralCF(PAIRS, rank=3, hidden=[4])
    model.output.weight.data[:, 3:] = 0
    user, item = torch.tensor([4, 7]), torch.tensor([29, 0])
    expected = (model.user_factors.weight[user] * model.item_factors.weight[item]).sum(1)
    assert model.interaction(user, item).tolist() == pytest.approx(expected.tolist())


def test_gain_is_that_of_scikit_learn() -> None:
    """Which has no mark for items without a rating, so that each user has rated all."""
    torch.manual_seed(0)
    scores, rated = torch.randn(6, 30), torch.randint(1, 6, (6, 30)).float()
    expected = [
        ndcg_score([2 ** one.numpy() - 1], [score.numpy()], k=10) for one, score in zip(rated, scores, strict=True)
    ]
    assert ndcg(scores, rated).tolist() == pytest.approx(expected)


def test_gain_looks_at_rated_items_alone() -> None:
    nan = torch.nan
    rated = torch.tensor([[5.0, nan, 1.0, nan], [2.0, 2.0, nan, nan], [nan] * 4])
    scores = torch.tensor([[1.0, 9.0, 2.0, 9.0]]).repeat(3, 1)
    (found,) = ndcg(scores, rated).tolist()  # of the first user: nobody else has two different ratings
    assert found == pytest.approx((1 + 31 / math.log2(3)) / (31 + 1 / math.log2(3)))


def test_lists_leave_out_what_is_known() -> None:
    """User 0 knows the item with the best score; the next 10 have the one that she likes. User 1 likes the 11th."""
    order = -torch.arange(12.0)
    train = Table(torch.tensor([0]), torch.tensor([0]), torch.tensor([5.0]), (2, 12))
    test = Table(torch.tensor([0, 1]), torch.tensor([10, 10]), torch.tensor([4.0, 4.0]), (2, 12))
    found = ranking(lambda users: order.expand(len(users), -1), train, test, low=1.0, high=5.0)
    assert found == {"ndcg": 0.0, "hit_rate": 0.5}
    assert ranking(lambda users: order.expand(len(users), -1), train, test, low=3.0, high=5.0)["hit_rate"] == 0


@pytest.mark.parametrize(("low", "high"), [(-10.0, 10.0), (0.0, 200.0)])
def test_gain_does_not_depend_on_the_scale(low: float, high: float) -> None:
    torch.manual_seed(0)
    users, items = torch.cartesian_prod(torch.arange(5), torch.arange(20)).T
    stars, order = torch.randint(1, 6, (100,)).float(), torch.randn(20)
    nothing = Table(users[:0], items[:0], stars[:0], (5, 20))
    found = [
        ranking(lambda chosen: order.expand(len(chosen), -1), nothing, Table(users, items, ratings, (5, 20)), *scale)
        for ratings, scale in ((stars, (1.0, 5.0)), (low + (stars - 1) / 4 * (high - low), (low, high)))
    ]
    assert found[0] == pytest.approx(found[1])


def test_equal_scores_are_in_no_order() -> None:
    """Or a method that knows nothing would be judged by how the items are numbered."""
    users, items = torch.cartesian_prod(torch.arange(20), torch.arange(200)).T
    test = Table(users, items, 1 + 4 * (items < 100).float(), (20, 200))
    nothing = Table(users[:0], items[:0], test.ratings[:0], (20, 200))
    found = ranking(lambda chosen: torch.zeros(len(chosen), 200), nothing, test, low=1.0, high=5.0)
    assert 0.2 < found["ndcg"] < 0.8


def test_scores_of_all_items_are_the_ratings() -> None:
    model, fitted = Factorization(PAIRS), alternating_least_squares(low_rank(), 2, 1, 1)
    pairs = low_rank()._replace(users=torch.tensor([3, 7]), items=torch.tensor([5, 29]))
    users = torch.tensor([3, 7])
    assert model._all_items(users)[[0, 1], pairs.items].tolist() == pytest.approx(model(users, pairs.items).tolist())
    assert fitted.all_items(users)[[0, 1], pairs.items].tolist() == pytest.approx(fitted.predict(pairs).tolist())


def test_popularity_only_ranks() -> None:
    data = Ratings(name="generated-ratings")
    data.prepare()
    found = baselines(data, 1, 5)
    assert found["popularity"].keys() == {"test/ndcg", "test/hit_rate"}
    assert found["item means"]["test/ndcg"] > found["popularity"]["test/ndcg"] + 0.1, "it knows no taste"
    assert found["popularity"]["test/hit_rate"] > 2 * found["item means"]["test/hit_rate"], "it knows what is rated"


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
    with pytest.raises(ConfigError, match=r"model\.hidden must begin with an even width, .* received \[3\]"):
        NeuralCF(PAIRS, hidden=[3])
    with pytest.raises(ConfigError, match="lowest and the highest rating, received"):
        Factorization(PAIRS, scale=(5, 1))


def test_people_have_no_generator() -> None:
    """Only generated ratings tell a baseline how they arose."""
    assert Ratings(name="movielens").generator is None
