"""Divergence is noticed before it reaches the weights."""

from __future__ import annotations

import math

import torch

from lab.errors import DivergedError


def require_finite_gradients(optimizer: torch.optim.Optimizer, where: str) -> None:
    """Raise DivergedError when the gradient that `optimizer` is about to use has a NaN or an infinity."""
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients).item()
    if not math.isfinite(norm):
        raise DivergedError(f"the norm of the gradient became {norm} in {where}, before the weights were changed")
