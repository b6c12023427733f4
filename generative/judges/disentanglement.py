"""How far each factor behind the images has one latent of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Dimensions: N images, Z latents, V factors.

BINS = 20  # as Locatello et al. 2019


def mutual_information_gap(codes: Tensor, factors: Tensor) -> float:
    """Return the mutual information gap (MIG, Chen et al. 2018, equation 6) of codes `(N, Z)` and factors `(N, V)`.

    For each factor it is the information in the latent that tells most about it, less that in the second, divided by
    the entropy of the factor; then the mean over factors. 1: each has a latent of its own. 0: several latents tell the
    same, or none tells anything.
    """
    factors = factors.reshape(len(factors), -1)
    known = F.pad(information(codes, factors), (0, 1))  # (V, Z + 1): the last tells nothing
    first, second = known.topk(2, dim=1).values.unbind(1)
    return float(((first - second) / entropies(factors).clamp(min=1e-12)).mean())


def information(codes: Tensor, factors: Tensor) -> Tensor:
    """Return the mutual information in nats of each factor and each latent, `(V, Z)`.

    Each latent is cut into 20 bins of equal width between its extremes, and so is a factor with more values.
    """
    spread = F.one_hot(_bins(codes), BINS).float().flatten(1)  # (N, Z * BINS)
    found = []
    for factor in factors.unbind(1):
        joint = _indicators(factor).T @ spread / len(codes)  # (values of the factor, Z * BINS)
        joint = joint.view(len(joint), -1, BINS)
        apart = joint.sum(0, keepdim=True) * joint.sum(2, keepdim=True)
        found.append(torch.where(joint > 0, joint * (joint / apart.clamp(min=1e-30)).log(), 0.0).sum((0, 2)))
    return torch.stack(found)


def entropies(factors: Tensor) -> Tensor:
    """Return the entropy in nats of each factor, `(V,)`."""
    shares = [_indicators(factor).mean(0) for factor in factors.unbind(1)]
    return torch.stack([-(share * share.log()).sum() for share in shares])


def principal_components(images: Tensor, others: Tensor, width: int) -> Tensor:
    """Return the coordinates `(M, width)` of `others` on the principal components of `images`, both flattened."""
    known, asked = images.flatten(1), others.flatten(1)
    mean = known.mean(0)
    _, directions = torch.linalg.eigh((known - mean).T @ (known - mean) / len(known))  # the last vary most
    found: Tensor = (asked - mean) @ directions.flip(1)[:, :width]
    return found


def _indicators(factor: Tensor) -> Tensor:
    """Return for each of `(N,)` which of its values a factor has, `(N, values)`; one with many is cut into bins."""
    values, places = torch.unique(factor, return_inverse=True)
    if len(values) > BINS:
        values, places = torch.unique(_bins(factor), return_inverse=True)
    return F.one_hot(places, len(values)).float()


def _bins(codes: Tensor) -> Tensor:
    """Return the bins, from 0, of `(N, ...)` along the first axis."""
    low, high = codes.aminmax(dim=0)
    return ((codes - low) / (high - low).clamp(min=1e-12) * BINS).long().clamp(max=BINS - 1)
