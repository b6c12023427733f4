"""The plainest codes of images: each patch is replaced by the nearest of a number of mean patches (Gersho & Gray
1992)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.data.base import DataModule
from lab.data.loader import plain_batches, testing_batches

FITTED = 200_000  # patches


def k_means(data: DataModule, places: Sequence[int], size: int, device: torch.device) -> dict[str, float]:
    """Return the test figures of k-means on the patches of binarised images.

    Args:
        data: prepared.
        places: patches of an image, down and across; they fill it.
        size: number of mean patches. Each mean is the probability of the pixels of its patches.
    """
    from sklearn.cluster import KMeans

    down, across = places
    generator = torch.Generator(device).manual_seed(0)

    def cut(x: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B * h * w, D) in {0, 1}."""
        count, channels, height, width = x.shape
        patches = torch.bernoulli(x, generator=generator)
        patches = patches.view(count, channels, down, height // down, across, width // across)
        return patches.permute(0, 2, 4, 1, 3, 5).reshape(count * down * across, -1)

    known = torch.cat([cut(x) for x, _ in plain_batches(data, device, seed=0)])
    chosen = torch.randperm(len(known), generator=torch.Generator().manual_seed(0))[:FITTED].to(device)
    kinds, counts = torch.unique(known[chosen].cpu(), dim=0, return_counts=True)  # most patches are black
    fitted = KMeans(min(size, len(kinds)), random_state=0, n_init=1).fit(kinds, sample_weight=counts)
    means = torch.from_numpy(fitted.cluster_centers_).to(device).float()
    logits = means.clamp(1e-3, 1 - 1e-3).logit()
    nats, images, uses = 0.0, 0, torch.zeros(size, device=device)
    for x, _ in testing_batches(data, device):
        patches = cut(x)
        codes = torch.cdist(patches, means).argmin(1)
        nats += float(F.binary_cross_entropy_with_logits(logits[codes], patches, reduction="sum"))
        images, uses = images + len(x), uses + codes.bincount(minlength=size)
    entropy = entropy_of(uses)
    return {
        "test/nll_given_codes": nats / images,
        "test/codes_used": float((uses > 0).float().mean()),
        "test/perplexity": math.exp(entropy),
        "test/independent_nats": down * across * entropy,
    }


def entropy_of(uses: Tensor) -> float:
    """Return the entropy in nats of codes that were chosen so often, `(K,)`."""
    shares = uses / uses.sum().clamp(min=1)
    return -float(torch.xlogy(shares, shares).sum())
