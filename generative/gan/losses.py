"""The losses of the two players (Goodfellow et al. 2014), from the discriminator's logits."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))): cross-entropy of telling real from generated (equation 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """-log D(G(z)): the non-saturating loss (section 3)."""
    return F.softplus(-fake).mean()
