"""Simple models of binary images, whose likelihoods are baselines for all others."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.data.base import DataModule
from lab.data.loader import plain_batches, testing_batches
from lab.system.randomness import own_randomness

# Dimensions: B images, C H W of an image.

Figures = Mapping[str, Mapping[str, float]]
"""Test metrics by the name of the method."""

NEAR = ((-2, -1), (-2, 0), (-2, 1), (-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2), (0, -2), (0, -1))
"""Rows and columns from a pixel to the ten pixels before it that the fax standard JBIG looks at."""


def independent_pixels(data: DataModule, device: torch.device) -> Figures:
    """Return the likelihood of the binarised test images where each pixel has a probability of its own: its mean over
    the training images. The mean over binarisations is exact."""
    mean = pixel_means(data, device)
    test = testing_batches(data, device)
    nll = [F.binary_cross_entropy(mean.expand_as(x), x, reduction="none").flatten(1).sum(1) for x, _ in test]
    return {"independent pixels": {"test/nll": torch.cat(nll).mean().item()}}


def pixel_means(data: DataModule, device: torch.device) -> Tensor:
    """Return the mean of each pixel over the training images and a grey one, `(C, H, W)`: so none is 0 or 1."""
    half = torch.full((1, *data.spec.require_one_input("a model of pixels").shape), 0.5, device=device)
    images = [half, *(x for x, _ in plain_batches(data, device, seed=0))]
    return torch.stack([x.sum(0) for x in images]).sum(0) / sum(len(x) for x in images)


def nearby_pixels(data: DataModule, device: torch.device) -> Figures:
    """Return the likelihood of the binarised test images where each pixel depends on ten pixels near it, by counts over
    the training images: what n-grams are to language models."""
    with own_randomness(device, seed=0):
        counts = torch.full((2 << len(NEAR),), 0.5, dtype=torch.float64, device=device)  # Krichevsky & Trofimov 1981
        for x, _ in plain_batches(data, device, seed=0):
            counts += torch.bincount(with_context(torch.bernoulli(x)).flatten(), minlength=len(counts))
        cost = -(counts.view(-1, 2) / counts.view(-1, 2).sum(1, keepdim=True)).log().flatten()
        nll = [cost[with_context(torch.bernoulli(x))].sum(1) for x, _ in testing_batches(data, device)]
    return {"counts of ten pixels nearby": {"test/nll": torch.cat(nll).mean().item()}}


def with_context(x: Tensor) -> Tensor:
    """Return a number for each pixel and its context, `(B, C * H * W)`, for `x` `(B, C, H, W)` in {0, 1}. Its last bit
    is the pixel, and the others are the pixels in `NEAR`; there are zeros beyond the edge."""
    height, width = x.shape[2:]
    padded = F.pad(x, (2, 2, 2, 0)).long()
    number = torch.zeros_like(x, dtype=torch.long)
    for row, column in (*NEAR, (0, 0)):
        number = 2 * number + padded[:, :, 2 + row : 2 + row + height, 2 + column : 2 + column + width]
    return number.flatten(1)
