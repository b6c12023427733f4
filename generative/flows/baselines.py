"""The simplest density of images beside which a flow stands."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from generative.flows.layers import Logit
from generative.judges.bits import bits_per_dim, dequantised
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import plain_batches, testing_batches
from lab.system.randomness import own_randomness


@torch.no_grad()
def gaussian_bits(data: DataModule, logit: Logit, device: torch.device) -> float | None:
    """Return the bits per number of dequantised test images under the one Gaussian that fits the logits of the
    training images best, covariances included. None where there are too few training images for a covariance."""

    def logits(batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
        parts = [logit(dequantised(images)) for images, _ in batches]
        # In float64 and on the CPU: pixels that are always black vary a hundred times less than others.
        rows = torch.cat([x.flatten(1) for x, _ in parts]).double().cpu()
        return rows, torch.cat([log_det for _, log_det in parts]).double().cpu()

    with own_randomness(device, seed=0):
        known, _ = logits(plain_batches(data, device, seed=0))
        if len(known) <= 2 * known.shape[1]:
            return None
        rows, log_det = logits(testing_batches(data, device))
    mean, covariance = known.mean(0), known.T.cov()
    root = torch.linalg.cholesky(covariance)
    z = torch.linalg.solve_triangular(root, (rows - mean).T, upper=False)  # (D, B)
    log_density = log_det - 0.5 * z.square().sum(0) - root.diagonal().log().sum()
    size = len(mean)
    return bits_per_dim(log_density - 0.5 * size * math.log(2 * math.pi), size).mean().item()
