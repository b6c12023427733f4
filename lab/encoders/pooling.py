"""From a map or a sequence of features to one vector."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

ImagePool = Literal["flatten", "mean", "max"]


def pool_image(maps: Tensor, how: ImagePool) -> Tensor:
    """Pool `(B, C, H, W)` to `(B, C*H*W)` for `flatten`, which keeps position, else to `(B, C)`."""
    if how == "flatten":
        return maps.flatten(1)
    return maps.mean((2, 3)) if how == "mean" else maps.amax((2, 3))


def pooled_size(shape: tuple[int, int, int], how: ImagePool) -> int:
    """Length of `pool_image`'s vector for maps of shape `(C, H, W)`."""
    channels, height, width = shape
    return channels * height * width if how == "flatten" else channels
