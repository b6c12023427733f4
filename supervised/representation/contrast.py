"""The contrastive loss of SimCLR (Chen et al. 2020, 'A simple framework for contrastive learning of visual
representations')."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Dimensions: B images, Z numbers of a projection.


def similarities(first: Tensor, second: Tensor) -> Tensor:
    """Return the cosine of the angle between any two projections `(B, Z)` of two views, `(2B, 2B)`, those of the second
    view after those of the first. That of each with itself is minus infinity: nothing is its own partner."""
    z = F.normalize(torch.cat([first, second]), dim=1)
    return (z @ z.T).masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -torch.inf)


def partners(count: int, device: torch.device) -> Tensor:
    """Return for each of `2 * count` views the place of the other view of the same image, `(2 * count,)`."""
    return torch.arange(2 * count, device=device).roll(count)


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the normalised cross-entropy of telling each view's partner among all other views of the batch
    (equation 1), mean over the views. Projections are `(B, Z)`."""
    logits = similarities(first, second) / temperature
    return F.cross_entropy(logits, partners(len(first), first.device))
