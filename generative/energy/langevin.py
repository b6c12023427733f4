"""Langevin dynamics: images that move down the slope of an energy, with noise (Welling & Teh 2011)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Energy = Callable[[Tensor], Tensor]
"""Of images `(B, C, H, W)`, as `(B,)`."""


def langevin(energy: Energy, y: Tensor, steps: int, *, rate: float, noise: float) -> Tensor:
    """Return images after so many steps of y <- y - rate * dE/dy + noise * sqrt(2 rate - rate^2) * N(0, 1).

    The chains sample exp(-E(y) / noise^2): exactly where E is half a squared distance, as it is near one image, and
    better with smaller rates elsewhere.

    Args:
        energy: whose slope is followed.
        y: where the chains begin, `(B, C, H, W)`.
        steps: of each chain.
        rate: share of the slope that a step follows, between 0 and 1.
        noise: standard deviation of the noise on an image, root of the temperature.
    """
    spread = noise * math.sqrt(2 * rate - rate**2)
    for _ in range(steps):
        y = y - rate * slope(energy, y)[1] + spread * torch.randn_like(y)
    return y


def slope(energy: Energy, y: Tensor, *, learns: bool = False) -> tuple[Tensor, Tensor]:
    """Return the energies of images, `(B,)`, and dE/dy, `(B, C, H, W)`; with gradients of both where it `learns`."""
    # Lightning evaluates in inference mode, where there are no slopes.
    with torch.inference_mode(False), torch.enable_grad():
        y = y.detach().clone().requires_grad_()
        energies = energy(y)
        (found,) = torch.autograd.grad(energies.sum(), y, create_graph=learns)
    return (energies, found) if learns else (energies.detach(), found)
