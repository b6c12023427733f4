"""The losses of the two players, from the discriminator's scores `(B, 1)`: high for real."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor

Game = Literal["non-saturating", "minimax", "least-squares", "hinge", "wasserstein"]


class Losses(NamedTuple):
    """What each player minimises.

    Args:
        discriminator: from its scores of real and of generated images.
        generator: from the scores of generated images.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))): cross-entropy of telling real from generated (Goodfellow et al. 2014,
    equation 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """-log D(G(z)): the non-saturating loss (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake).mean()


def saturating(fake: Tensor) -> Tensor:
    """log(1 - D(G(z))): the minimax game. It has no slope where the discriminator is sure (Goodfellow et al. 2014,
    section 3)."""
    return -F.softplus(fake).mean()


def least_squares(real: Tensor, fake: Tensor) -> Tensor:
    """Real images are to score 1, generated ones 0 (Mao et al. 2017, equation 9)."""
    return 0.5 * ((real - 1).square().mean() + fake.square().mean())


def least_squares_generator(fake: Tensor) -> Tensor:
    """Generated images are to score 1 (Mao et al. 2017, equation 9)."""
    return 0.5 * (fake - 1).square().mean()


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Scores beyond a margin of 1 cost nothing (Lim & Ye 2017; Miyato et al. 2018, equation 16)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein(real: Tensor, fake: Tensor) -> Tensor:
    """The estimate of the Wasserstein distance, negative (Arjovsky et al. 2017, equation 2). It needs a critic whose
    slope is bounded."""
    return fake.mean() - real.mean()


def mean_score(fake: Tensor) -> Tensor:
    """Generated images are to score high, without a bound (Arjovsky et al. 2017; Miyato et al. 2018, equation 17)."""
    return -fake.mean()


LOSSES: dict[Game, Losses] = {
    "non-saturating": Losses(discriminator_loss, generator_loss),
    "minimax": Losses(discriminator_loss, saturating),
    "least-squares": Losses(least_squares, least_squares_generator),
    "hinge": Losses(hinge, mean_score),
    "wasserstein": Losses(wasserstein, mean_score),
}
