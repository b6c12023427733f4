"""Signs of a game that has stalled: samples that are all alike, and a discriminator that is never wrong."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

ALIKE = 0.2  # diversity below which the generator draws one image only, or nearly so
NEVER_WRONG = 0.999  # share of the pairs


def told_apart(real: Tensor, fake: Tensor) -> Tensor:
    """Share of the pairs of a real and a generated image in which the real one scores higher; equal scores count half.

    It is 0.5 where the discriminator guesses, whatever the loss: the area under its ROC curve.

    Args:
        real, fake: scores `(B, 1)` and `(N, 1)`.
    """
    return 0.5 + 0.5 * torch.sign(real - fake.T).mean()


def diversity(fake: Tensor, real: Tensor) -> Tensor:
    """How much generated images differ from each other, divided by the same of real ones: the standard deviation of a
    pixel over the batch, averaged over the pixels.

    Args:
        fake, real: images `(B, C, H, W)`, two of each at least.
    """
    return fake.std(0).mean() / real.std(0).mean().clamp(min=1e-6)


def complaints(told_apart: float, diversity: float, *, saturates: bool = True) -> Iterator[str]:
    """Yield what is wrong with a game, by the means of the two figures over an epoch, and what helps.

    Args:
        saturates: whether the generator learns little from a discriminator that is never wrong: not from a critic of
            the Wasserstein game, which has a slope everywhere.
    """
    if diversity < ALIKE:
        yield (
            f"the samples of this epoch differ from each other {diversity:.0%} as much as real images do: the "
            "generator has collapsed; a lower learning rate or model.r1 may help"
        )
    if saturates and told_apart > NEVER_WRONG:
        yield (
            f"the discriminator tells {told_apart:.1%} of the pairs of this epoch apart: the generator learns little "
            "from it; model.r1 or a lower model.discriminator_rate may help"
        )
