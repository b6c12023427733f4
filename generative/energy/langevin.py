"""Langevin dynamics: images that move down the slope of an energy, with noise (Welling & Teh 2011)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def langevin(energy: Callable[[Tensor], Tensor], x: Tensor, steps: int, *, step_size: float, noise: float) -> Tensor:
    """Return images after so many steps of x <- x - step_size * dE/dx + noise * N(0, 1), each kept within [0, 1].

    At the temperature 1, noise is the root of twice the step size. Less noise, as is usual (Du & Mordatch 2019,
    section 3.2; Nijkamp et al. 2019, section 3), samples a colder distribution, whose chains soon arrive.

    Args:
        energy: of `(B, C, H, W)`, as `(B,)`.
        x: where the chains begin, `(B, C, H, W)`.
        steps: of each chain.
        step_size: of the slope's part.
        noise: standard deviation of the noise.
    """
    # Lightning evaluates in inference mode, where there are no slopes.
    with torch.inference_mode(False), torch.enable_grad():
        x = x.clone()
        for _ in range(steps):
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(energy(x).sum(), x)
            x = (x - step_size * slope + noise * torch.randn_like(x)).clamp(0, 1)
        return x.detach()
