"""Statistics over runs, compared with rliable's figures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lab.statistics import bootstrap_interval, interquartile_mean, outliers, probability_of_improvement, widest_gap

SCORES = {
    "one": [7.0],
    "two": [1.0, 4.0],
    "three": [-179.6, -103.2, -116.2],
    "four": [1.0, 2.0, 3.0, 10.0],
    "five": [494.4, 500.0, 500.0, 500.0, 500.0],
    "seven": [-197.1, -149.4, -176.5, -171.8, -156.8, -183.7, -160.0],
    "ten": [0.1, 0.9, 0.35, 0.62, 0.77, 0.48, 0.51, 0.55, 0.29, 0.95],
}

# rliable 1.2.0 (numpy 2.4.6, scipy 1.17.1): metrics.aggregate_iqm(np.array(scores)[:, None])
MIDDLES = {"one": 7.0, "two": 2.5, "three": -133.0, "four": 2.5, "five": 500.0, "seven": -169.76}
MIDDLES["ten"] = 0.5466666666666667


# np.random.seed(0); library.get_interval_estimates(
#     {"x": scores[:, None]}, lambda scores: np.array([metrics.aggregate_iqm(scores)]))
INTERVALS = {
    "five": (496.26666667, 500.0),
    "seven": (-184.3, -157.48),
    "ten": (0.37166667, 0.74833333),
}

# metrics.probability_of_improvement(a[:, None], b[:, None]), and np.random.seed(0); library.get_interval_estimates(
#     {"x": [a[:, None], b[:, None]]}, lambda a, b: np.array([metrics.probability_of_improvement(a, b)]), reps=5000)
IMPROVEMENTS = [
    ([500.0, 500.0, 480.0, 500.0], [500.0, 470.0, 500.0, 490.0, 500.0], 0.575, (0.25, 0.9)),
    ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2.0, 3.0, 4.0, 0.0, 1.0, 9.0], 0.6111111111111112, (0.27743056, 0.93055556)),
    ([0.1, 0.9, 0.35, 0.62, 0.77], [0.48, 0.51, 0.55, 0.29, 0.95, 0.2, 0.3], 0.6, (0.22857143, 1.0)),
]
PAIRS = {
    ("two", "four"): 0.4375,
    ("five", "five"): 0.5,
    ("five", "four"): 1.0,
    ("seven", "three"): 0.23809523809523808,
    ("ten", "ten"): 0.5,
    ("one", "four"): 0.75,
}


@pytest.mark.parametrize("name", MIDDLES)
def test_interquartile_mean_is_rliables(name: str) -> None:
    assert interquartile_mean(SCORES[name]) == pytest.approx(MIDDLES[name], rel=1e-12)
    assert interquartile_mean(SCORES[name][::-1]) == pytest.approx(MIDDLES[name], rel=1e-12)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_interquartile_mean_along_axis(axis: int) -> None:
    sample = np.random.default_rng(0).normal(size=(9, 11, 5))
    np.testing.assert_allclose(interquartile_mean(sample, axis), stats.trim_mean(sample, 0.25, axis))


@pytest.mark.parametrize("name", INTERVALS)
def test_bootstrap_interval_is_rliables(name: str) -> None:
    """Within a hundredth of the interval's width, which is the difference between two sets of resamples."""
    expected = INTERVALS[name]
    found = bootstrap_interval(SCORES[name], interquartile_mean, resamples=50_000)
    assert found == pytest.approx(expected, abs=0.01 * (expected[1] - expected[0]))


@pytest.mark.parametrize("pair", PAIRS)
def test_probability_of_improvement_is_rliables(pair: tuple[str, str]) -> None:
    a, b = (SCORES[name] for name in pair)
    assert probability_of_improvement(a, b).probability == pytest.approx(PAIRS[pair], rel=1e-12)
    assert probability_of_improvement(b, a).probability == pytest.approx(1 - PAIRS[pair], rel=1e-12)
    assert probability_of_improvement(b, a, direction="min").probability == pytest.approx(PAIRS[pair], rel=1e-12)


@pytest.mark.parametrize(("a", "b", "probability", "interval"), IMPROVEMENTS)
def test_intervals_of_improvement_are_rliables(
    a: list[float], b: list[float], probability: float, interval: tuple[float, float]
) -> None:
    found = probability_of_improvement(a, b, resamples=50_000)
    assert found.probability == pytest.approx(probability, rel=1e-12)
    assert (found.low, found.high) == pytest.approx(interval, abs=0.02)
    mirrored = probability_of_improvement(a, b, direction="min", resamples=50_000)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - interval[1], 1 - interval[0]), abs=0.02)


@pytest.mark.filterwarnings("ignore")
def test_against_rliable_itself() -> None:
    library = pytest.importorskip("rliable.library", reason="rliable cannot be imported here", exc_type=ImportError)
    metrics = pytest.importorskip("rliable.metrics", exc_type=ImportError)
    for seed in range(5):
        sample = np.random.default_rng(seed).normal(size=(2, 4 + 3 * seed))
        a, b = sample.tolist()
        assert interquartile_mean(a) == pytest.approx(metrics.aggregate_iqm(sample[0][:, None]), rel=1e-12)
        expected = metrics.probability_of_improvement(sample[0][:, None], sample[1][:, None])
        assert probability_of_improvement(a, b).probability == pytest.approx(expected, rel=1e-12)
        middles = lambda scores: np.array([metrics.aggregate_iqm(scores)])  # noqa: E731
        _, intervals = library.get_interval_estimates({"a": sample[0][:, None]}, middles, reps=20_000)
        low, high = intervals["a"].ravel()
        found = bootstrap_interval(a, interquartile_mean, resamples=20_000)
        assert found == pytest.approx((low, high), abs=0.05 * (high - low))


def test_statistics_are_reproducible() -> None:
    before = np.random.get_state()[1].tolist()  # type: ignore[index]
    twice = [
        (bootstrap_interval(SCORES["ten"], np.mean), probability_of_improvement(SCORES["ten"], SCORES["seven"]))
        for _ in range(2)
    ]
    assert twice[0] == twice[1]
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]


def test_interval_covers_its_level() -> None:
    """For the mean of 30 normal scores. With five the percentile bootstrap covers less, as its docstring says."""
    random = np.random.default_rng(0)

    def covered(runs: int, level: float) -> float:
        hits = []
        for _ in range(400):
            interval = bootstrap_interval(random.normal(size=runs), np.mean, level=level, resamples=500)
            assert interval is not None
            hits.append(interval[0] <= 0 <= interval[1])
        return float(np.mean(hits))

    assert covered(30, 0.95) == pytest.approx(0.94, abs=0.03)
    assert covered(30, 0.5) == pytest.approx(0.49, abs=0.07)
    assert covered(5, 0.95) < 0.9


def test_single_run_has_no_interval() -> None:
    assert bootstrap_interval([7.0], np.mean) is None
    found = probability_of_improvement([7.0], [1.0, 8.0])
    assert (found.probability, found.low, found.high) == (0.5, None, None)


@pytest.mark.parametrize("runs", [5, *(pytest.param(one, marks=pytest.mark.slow) for one in (3, 10))])
def test_normal_samples_have_few_outliers(runs: int) -> None:
    random = np.random.default_rng(0)
    found = [bool(outliers(random.normal(5, 2, runs).tolist())) for _ in range(4000)]
    assert np.mean(found) == pytest.approx(0.01, abs=0.005)


def test_outliers() -> None:
    assert outliers([500.0, 500.0, 496.1, 354.5, 500.0]) == [3]
    assert outliers([500.0, 500.0, 500.0, 499.0]) == [3]
    assert outliers([-187.1, -179.6, -103.2]) == []
    assert outliers([-197.1, -149.4, -176.5]) == []
    assert outliers([1.0, 1.0, 1.0]) == outliers([0.1 + 0.2, 0.3, 0.3]) == outliers([1.0, 9.0]) == []


def test_widest_gap() -> None:
    assert widest_gap([-187.0, -103.0, -180.0]) == (2, 77.0, 7.0)
    assert widest_gap([1.0, 9.0]) == (1, 8.0, 0.0)
    with pytest.raises(ValueError, match="at least two"):
        widest_gap([1.0])


@pytest.mark.parametrize("scores", [[], [1.0, float("nan"), 2.0], [float("inf")]])
def test_invalid_scores_are_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match=r"at least one score|must be finite"):
        interquartile_mean(scores)
    with pytest.raises(ValueError, match=r"at least one score|must be finite"):
        bootstrap_interval(scores, np.mean)
    with pytest.raises(ValueError, match=r"at least one score|must be finite"):
        probability_of_improvement([1.0], scores)
