"""Figures over several runs, as Agarwal et al. 2021 (arXiv:2108.13264) recommend for few seeds, and as their rliable
computes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

SEED = 0  # of the generators here: a report made twice has the same figures


@dataclass(frozen=True)
class Spread:
    """A sample in figures. `std` is the root mean square deviation of these values, as in `eval/return_std`;
    `standard_error` that of the mean, unbiased, and `low` to `high` the 95 % interval of the mean by Student's t
    (None for a single value)."""

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
        from scipy.special import stdtrit

        error = std / math.sqrt(n - 1)  # std has n under the root, so that this is s / sqrt(n)
        reach = float(stdtrit(n - 1, 0.975)) * error
        low, high = mean - reach, mean + reach
    return Spread(n, mean, std, error, low, high, float(sample.min()), float(np.median(sample)), float(sample.max()))


@dataclass(frozen=True)
class Improvement:
    """How likely a run of one kind is better than a run of another. `low` to `high` is the 95 % bootstrap interval;
    None where one of the two has a single run."""

    probability: float
    low: float | None
    high: float | None


class Gap(NamedTuple):
    """The widest gap between neighbours among sorted scores: `below` of them lie under it. `side` is the range of the
    scores on one side of it, the larger of the two."""

    below: int
    width: float
    side: float


@overload
def interquartile_mean(scores: Sequence[float], axis: int = -1) -> float: ...
@overload
def interquartile_mean(scores: NDArray[np.floating], axis: int = -1) -> Any: ...
def interquartile_mean(scores: ArrayLike, axis: int = -1) -> Any:
    """Return the mean of the middle half of the scores: a quarter of them, rounded down, is cut off at each end.

    `(..., runs)` gives `(...)`, one list of scores gives a float. Fewer than four scores lose none, so that it is their
    mean. Raises ValueError for none, or one that is not finite.
    """
    sample = np.sort(_sample(scores), axis)
    runs = sample.shape[axis]
    cut = runs // 4
    return sample.take(range(cut, runs - cut), axis).mean(axis)


def bootstrap_interval(
    scores: ArrayLike, statistic: Callable[..., Any], *, level: float = 0.95, resamples: int = 2000
) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of a statistic over `(runs,)` scores; None for a single score.

    `statistic` takes `(resamples, runs)` and `axis`: `interquartile_mean`, `np.mean`, `np.median`. With fewer than ten
    runs it is too narrow: five runs' mean lies in it less often than `level` says.
    Raises ValueError for no scores, or one that is not finite.
    """
    sample = _sample(scores)
    if len(sample) < 2:
        return None
    chosen = np.random.default_rng(SEED).integers(len(sample), size=(resamples, len(sample)))
    low, high = np.quantile(statistic(sample[chosen], axis=-1), ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def probability_of_improvement(
    a: Sequence[float], b: Sequence[float], *, direction: Literal["max", "min"] = "max", resamples: int = 2000
) -> Improvement:
    """Return the probability that a run of `a` has a better score than one of `b`, ties counted half.

    `direction` says whether more (`max`) or less (`min`) is better. For the interval both sides are resampled, each by
    itself. Raises ValueError for no scores, or one that is not finite.
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
    """Return the places of scores that do not belong to the others, by Grubbs' test; none for fewer than three.

    Each is held to the mean and the deviation of all others, by Student's t, and `level` is shared out among them: that
    many of a hundred normal samples of any size have one. The usual rule of a modified z-score over 3.5 finds one in
    every fifth normal sample of five, which is why it is not used here. Two outliers hide each other: see `widest_gap`.
    Raises ValueError for no scores, or one that is not finite.
    """
    sample = _sample(scores)
    n = len(sample)
    if n < 3:
        return []
    others = np.stack([np.delete(sample, place) for place in range(n)])  # (n, n - 1)
    from scipy.special import stdtrit

    reach = stdtrit(n - 2, 1 - level / (2 * n)) * others.std(1, ddof=1) * np.sqrt(n / (n - 1))
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
