"""Densities and divergences that variational autoencoders are made of, in nats."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of a diagonal Gaussian from N(0, 1), `(B,)` for `(B, Z)` (Kingma & Welling 2014, appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)


def log_standard_normal(z: Tensor) -> Tensor:
    """Log-density of N(0, 1) over the last axis: `(..., Z)` to `(...)`."""
    return -0.5 * (z.square().sum(-1) + z.shape[-1] * math.log(2 * math.pi))


def log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log-density of a diagonal Gaussian over the last axis: `(..., Z)` to `(...)`."""
    deviation = (z - mean).square() * (-log_variance).exp() + log_variance
    return -0.5 * (deviation.sum(-1) + z.shape[-1] * math.log(2 * math.pi))


def log_mixture(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log-density of an even mixture of diagonal Gaussians with means and log-variances `(C, Z)`: `(..., Z)` to
    `(...)`. The squares are multiplied out, so that matrix products do the work."""
    precision = (-log_variance).exp()
    flat = z.reshape(-1, z.shape[-1])
    squares = flat.square() @ precision.T - 2 * flat @ (mean * precision).T
    constants = (mean.square() * precision + log_variance).sum(1) + z.shape[-1] * math.log(2 * math.pi)
    return (-0.5 * (squares + constants)).logsumexp(1).view(z.shape[:-1]) - math.log(len(mean))


def log_bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """Log-probability of images `(B, C, H, W)` in {0, 1} under logits `(K, B, C, H, W)`, `(K, B)`.

    It is x * logit - softplus(logit) for a pixel x.
    """
    return (x * logits).flatten(2).sum(2) - F.softplus(logits).flatten(2).sum(2)


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """Logarithm of the mean of weights over the first axis, `(K, B)` to `(B,)`."""
    return log_weights.logsumexp(0) - math.log(len(log_weights))
