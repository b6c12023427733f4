"""Pooling of a map or a sequence of features to one vector."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

ImagePool = Literal["flatten", "mean", "max"]
SequencePool = Literal["last", "mean", "max"]


def pool_image(maps: Tensor, how: ImagePool) -> Tensor:
    """Pool `(B, C, H, W)` to `(B, C*H*W)` by `flatten`, which keeps position, or to `(B, C)`."""
    if how == "flatten":
        return maps.flatten(1)
    return maps.mean((2, 3)) if how == "mean" else maps.amax((2, 3))


def pooled_size(shape: tuple[int, int, int], how: ImagePool) -> int:
    """Return the length of the vector that `pool_image` makes of a map `(C, H, W)`."""
    channels, height, width = shape
    return channels * height * width if how == "flatten" else channels


def pool_sequence(steps: Tensor, mask: Tensor | None, how: SequencePool) -> Tensor:
    """Pool `(B, T, F)` to `(B, F)` over the steps where `mask`, `(B, T)`, is true. A row without any becomes zeros."""
    if mask is None:
        if how == "last":
            return steps[:, -1]
        return steps.mean(1) if how == "mean" else steps.amax(1)
    real = mask.bool().unsqueeze(2)
    if how == "mean":
        return steps.masked_fill(~real, 0).sum(1) / real.sum(1).clamp(min=1)
    if how == "max":
        pooled = steps.masked_fill(~real, -torch.inf).amax(1)
    else:
        last = (real[..., 0] * torch.arange(real.shape[1], device=real.device)).amax(1)
        pooled = steps[torch.arange(len(steps), device=steps.device), last]
    return pooled.masked_fill(~real.any(1), 0)
