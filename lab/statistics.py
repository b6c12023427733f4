"""Figures over several runs, as Agarwal et al. 2021 (arXiv:2108.13264) recommend for few seeds.

The figures are those of their library rliable. SciPy computes them; it is imported where it is used, so that `lab run`
does not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

SEED = 0  # of all resampling, so that a report made twice has the same figures


@dataclass(frozen=True)
class Spread:
    """Figures of a sample.

    Args:
        n: number of values.
        mean: of the values.
        std: root mean square deviation of these values, as in `eval/return_std`.
        standard_error: of the mean, unbiased; None for a single value.
        low: lower end of the 95 % interval of the mean by Student's t; None for a single value.
        high: upper end.
        min: smallest value.
        median: of the values.
        max: largest value.
    """

    n: int
    mean: float
    std: float
    standard_error: float | None
    low: float | None
    high: float | None
    min: float
    median: float
    max: float


def spread(values: Sequence[float]) -> Spread:
    """Return the figures of at least one value."""
    sample = np.asarray(values, dtype=float)
    n, mean, std = len(sample), float(sample.mean()), float(sample.std())
    error = low = high = None
    if n > 1:
        error = std / math.sqrt(n - 1)  # std divides by n, so that this is s / sqrt(n)
        low, high = mean_interval(mean, error, n)
    return Spread(n, mean, std, error, low, high, float(sample.min()), float(np.median(sample)), float(sample.max()))


def mean_interval(mean: float, error: float, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a mean over `n > 1` values by Student's t, given its standard error."""
    from scipy.special import stdtrit  # an agent's run waits for it, and scipy.stats takes three times as long

    reach = float(stdtrit(n - 1, (1 + level) / 2)) * error
    return mean - reach, mean + reach


@dataclass(frozen=True)
class Improvement:
    """The probability that a run of one kind is better than a run of another.

    `low` to `high` is the 95 % bootstrap interval; both are None where one of the two kinds has a single run.
    """

    probability: float
    low: float | None
    high: float | None


class Gap(NamedTuple):
    """The widest gap between neighbouring sorted scores.

    Args:
        below: how many scores lie below the gap.
        width: of the gap.
        side: the range of the scores on one side of it, the larger of the two.
    """

    below: int
    width: float
    side: float


def interquartile_mean(scores: ArrayLike, axis: int = -1) -> Any:
    """Return the mean of the middle half of the scores: a quarter of them, rounded down, is cut off at each end.

    `(..., runs)` gives `(...)`; one list of scores gives a float. Fewer than four scores lose none.
    Raises ValueError for no scores, or one that is not finite.
    """
    from scipy import stats

    found = stats.trim_mean(_sample(scores), 0.25, axis)
    return found if np.ndim(found) else float(found)


def bootstrap_interval(
    scores: ArrayLike, statistic: Callable[..., Any], *, level: float = 0.95, resamples: int | None = None
) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of a statistic over `(runs,)` scores; None for a single score.

    `statistic` takes `(resamples, runs)` and `axis`: `interquartile_mean`, `np.mean`, `np.median`. With fewer than ten
    runs the interval is too narrow: the mean of five runs lies in it less often than `level` says. There are 2,000
    resamples, and fewer for more than 1,000 runs, whose interval is narrow.
    Raises ValueError for no scores, or one that is not finite.
    """
    from scipy import stats

    sample = _sample(scores)
    if len(sample) < 2:
        return None
    found = stats.bootstrap(
        (sample,),
        statistic,
        n_resamples=resamples or max(200, min(2000, 2_000_000 // len(sample))),
        confidence_level=level,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return float(found.low), float(found.high)


def probability_of_improvement(
    a: Sequence[float], b: Sequence[float], *, direction: Literal["max", "min"] = "max", resamples: int = 2000
) -> Improvement:
    """Return the probability that a run of `a` has a better score than a run of `b`. Ties count half.

    `direction` says whether more (`max`) or less (`min`) is better. For the interval, `a` and `b` are resampled
    independently. Raises ValueError for no scores, or one that is not finite.
    """
    one, other = _sample(a), _sample(b)
    better = np.sign(one[:, None] - other[None, :]) * (1 if direction == "max" else -1)
    wins = (better + 1) / 2  # (len(a), len(b)): 1, 0 or, for a tie, a half
    probability = float(wins.mean())
    if min(wins.shape) < 2:
        return Improvement(probability, None, None)
    generator = np.random.default_rng(SEED)
    shares_a, shares_b = (generator.multinomial(n, np.full(n, 1 / n), resamples) / n for n in wins.shape)
    low, high = np.quantile(((shares_a @ wins) * shares_b).sum(1), (0.025, 0.975))
    return Improvement(probability, float(low), float(high))


def outliers(scores: Sequence[float], *, level: float = 0.01) -> list[int]:
    """Return the indices of outliers by Grubbs' test; none for fewer than three scores.

    Each score is compared with the mean and the deviation of all others by Student's t. `level` is divided by the
    number of scores, so that of a hundred normal samples of any size one has an outlier. (The usual rule, a modified
    z-score above 3.5, finds one in every fifth normal sample of five.) Two outliers hide each other: see `widest_gap`.
    Raises ValueError for no scores, or one that is not finite.
    """
    from scipy import stats

    sample = _sample(scores)
    n = len(sample)
    if n < 3:
        return []
    others = np.stack([np.delete(sample, place) for place in range(n)])  # (n, n - 1)
    reach = stats.t.ppf(1 - level / (2 * n), n - 2) * others.std(1, ddof=1) * np.sqrt(n / (n - 1))
    off = np.abs(sample - others.mean(1))
    return [int(place) for place in np.flatnonzero((off > reach) & ~np.isclose(off, reach))]


def widest_gap(scores: Sequence[float]) -> Gap:
    """Return the widest gap between neighbouring scores. Raises ValueError for fewer than two, or one not finite."""
    ordered = np.sort(_sample(scores))
    if len(ordered) < 2:
        raise ValueError("a gap needs at least two scores, received one")
    below = int(np.diff(ordered).argmax()) + 1
    side = max(ordered[below - 1] - ordered[0], ordered[-1] - ordered[below])
    return Gap(below, float(ordered[below] - ordered[below - 1]), float(side))


def _sample(scores: ArrayLike) -> NDArray[np.float64]:
    sample = np.asarray(scores, dtype=float)
    if not sample.size:
        raise ValueError("a statistic needs at least one score, received none")
    if not np.isfinite(sample).all():
        raise ValueError(f"scores must be finite, {int((~np.isfinite(sample)).sum())} of {sample.size} are not")
    return sample
