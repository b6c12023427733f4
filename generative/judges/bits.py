"""Grey levels of images, and the bits that they need under the simplest of densities."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lab.data.base import DataModule
from lab.data.loader import plain_batches, testing_batches

GREYS = 256
"""Grey levels of an image."""


def greys(images: Tensor) -> Tensor:
    """Return the grey levels, from 0 to 255, of images in [0, 1]."""
    return (images * (GREYS - 1)).round().long()


def dequantised(images: Tensor) -> Tensor:
    """Spread each grey level of images in [0, 1] by noise over its part of [0, 1] (Theis et al. 2016, section 3.1)."""
    return (images * (GREYS - 1) + torch.rand_like(images)) / GREYS


def bits_per_dim(log_density: Tensor, size: int) -> Tensor:
    """Return the bits for each of the `size` numbers of an image, for log-densities in nats of dequantised images."""
    return (math.log(GREYS) - log_density / size) / math.log(2)


@torch.no_grad()
def independent_bits(data: DataModule, device: torch.device) -> float:
    """Return the bits per pixel of the test images where each pixel is independent of the others and as often of a
    grey level as in the training images. One image that is of all levels alike is added to these."""
    counts: Tensor | None = None
    for images, _ in plain_batches(data, device, seed=0):
        levels = greys(images).flatten(1)  # (B, D)
        if counts is None:
            counts = torch.full((levels.shape[1], GREYS), 1 / GREYS, device=device)
        counts.scatter_add_(1, levels.T, torch.ones_like(levels.T, dtype=counts.dtype))
    assert counts is not None
    bits = -(counts / counts.sum(1, keepdim=True)).log2()
    found = [bits.gather(1, greys(images).flatten(1).T) for images, _ in testing_batches(data, device)]
    return torch.cat(found, 1).mean().item()
