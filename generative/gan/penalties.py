"""Penalties on the slope of the discriminator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Score = Callable[[Tensor], Tensor]
"""From images `(B, C, H, W)` to scores `(B, 1)`."""
TINY = 1e-12  # the square root has no slope at zero


def r1(score: Score, real: Tensor) -> Tensor:
    """Half the squared slope at real images (Mescheder et al. 2018, equation 9)."""
    return 0.5 * _squared_slopes(score, real).mean()


def gradient_penalty(score: Score, real: Tensor, fake: Tensor) -> Tensor:
    """The squared difference of the slope from 1, at a random point between each real and each generated image
    (Gulrajani et al. 2017, equation 3)."""
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = share * real + (1 - share) * fake
    return ((_squared_slopes(score, between) + TINY).sqrt() - 1).square().mean()


def _squared_slopes(score: Score, x: Tensor) -> Tensor:
    """The squared norm of the gradient of the score at each image, `(B,)`. It can be differentiated again."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(score(x).sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1)
