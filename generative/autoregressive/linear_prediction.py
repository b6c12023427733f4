"""Linear prediction of sound: each sample as a weighted sum of those before it, and what is left over as noise."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from generative.autoregressive.mu_law import edges, encode
from lab.data.base import Batches, DataModule
from lab.data.batch import Batch
from lab.data.loader import plain_batches, testing_batches

# Dimensions: B sounds, T samples, P samples before one, its order.

CPU = torch.device("cpu")
ORDER = 16
RECENT = 32  # samples whose errors tell how loud it is now
RARE = 1e-12  # of a level: so that an error which a Gaussian rules out costs 40 bits, not infinitely many


class Predictor(NamedTuple):
    """A fitted linear predictor.

    Args:
        weights: of the P samples before one, the oldest first, `(P,)`, float64.
        variance: of its errors over the training sounds.
    """

    weights: Tensor
    variance: Tensor

    def errors(self, sounds: Tensor) -> Tensor:
        """Return how far samples `(B, T)` are from what is predicted for them, of the same shape."""
        return sounds - _before(sounds, len(self.weights)) @ self.weights


def fit(batches: Batches, order: int = ORDER) -> Predictor:
    """Fit by least squares over all samples of all sounds, as if silence stood before each of them."""
    products, targets = torch.zeros(order, order, dtype=torch.float64), torch.zeros(order, dtype=torch.float64)
    energy, count = torch.zeros((), dtype=torch.float64), 0
    for batch in batches:
        sounds, mask = _sounds(batch)
        before = _before(sounds, order)
        real = mask[..., None] * before
        products += torch.einsum("btp,btq->pq", real, before)
        targets += torch.einsum("btp,bt->p", real, sounds)
        energy, count = energy + sounds.square().sum(), count + int(mask.sum())
    weights = torch.linalg.lstsq(products, targets[:, None], driver="gelsd").solution[:, 0]  # also where all is silent
    left = energy - 2 * weights @ targets + weights @ products @ weights
    return Predictor(weights, (left / max(1, count)).clamp(min=RARE))


def level_bits(levels: Tensor, means: Tensor, deviations: Tensor) -> Tensor:
    """Return -log2 of what Gaussians give to mu-law levels, of the shape of all three."""
    bounds = (edges()[levels + more] for more in (0, 1))
    below, above = ((bound - means) / deviations for bound in bounds)
    # In the lower tail, where a difference of shares is not lost in rounding.
    flipped = below > 0
    low, high = torch.where(flipped, -above, below), torch.where(flipped, -below, above)
    share: Tensor = torch.special.ndtr(high) - torch.special.ndtr(low)
    return -share.clamp(min=RARE).log2()


def linear_baselines(data: DataModule) -> dict[str, dict[str, float]]:
    """Return bits per sample of the test split by a predictor that is fitted to the training split: with one Gaussian
    for all errors, and with one whose variance follows the last errors.

    Both see the samples before one as they were, not rounded to levels.
    """
    predictor = fit(plain_batches(data, CPU, 0))
    bits, count = torch.zeros(2, dtype=torch.float64), 0
    for batch in testing_batches(data, CPU):
        sounds, mask = _sounds(batch)
        errors, levels = predictor.errors(sounds), encode(sounds)
        for i, variance in enumerate((predictor.variance.expand_as(errors), recent_variance(errors))):
            bits[i] += (level_bits(levels, sounds - errors, variance.sqrt()) * mask).sum()
        count += int(mask.sum())
    one, following = (bits / count).tolist()
    name = f"linear predictor of order {len(predictor.weights)}"
    return {
        name: _figures(one),
        f"{name}, variance of the last {RECENT} errors": _figures(following),
    }


def recent_variance(errors: Tensor, floor: float = 1e-5) -> Tensor:
    """Return the mean square of the `RECENT` errors before each of `(B, T)`, and of two of the size `floor`."""
    squares = F.pad(errors.square(), (RECENT, 0)).cumsum(1)
    squares = F.pad(squares, (1, 0))
    sums = squares[:, RECENT:-1] - squares[:, : -RECENT - 1]
    known = torch.arange(errors.shape[1]).clamp(max=RECENT)
    return (sums.clamp(min=0) + 2 * floor) / (known + 2)


def _sounds(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return sounds `(B, T)`, float64, silent where they have ended, and which samples are real."""
    assert isinstance(batch.inputs, Tensor)
    assert isinstance(batch.mask, Tensor)
    return batch.inputs.double(), batch.mask


def _before(sounds: Tensor, order: int) -> Tensor:
    """Return the samples before each, `(B, T, P)`."""
    return F.pad(sounds, (order, 0)).unfold(1, order, 1)[:, :-1]


def _figures(bits: float) -> dict[str, float]:
    return {"test/bits_per_sample": bits, "test/loss": bits * math.log(2)}
