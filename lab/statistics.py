"""Figures over several runs, as Agarwal et al. 2021 (arXiv:2108.13264) recommend for few seeds, and as their rliable
computes them. The mean's own interval, by Student's t, is in `lab.judging.spread`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

SEED = 0  # of the generators here: a report made twice has the same figures


@dataclass(frozen=True)
class Improvement:
    """How likely a run of one kind is better than a run of another. `low` to `high` is the 95 % bootstrap interval;
    None where one of the two has a single run."""

    probability: float
    low: float | None
    high: float | None


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


def _sample(scores: ArrayLike) -> NDArray[np.float64]:
    sample = np.asarray(scores, dtype=float)
    if not sample.size:
        raise ValueError("a statistic needs at least one score, received none")
    if not np.isfinite(sample).all():
        raise ValueError(f"scores must be finite, {int((~np.isfinite(sample)).sum())} of {sample.size} are not")
    return sample
