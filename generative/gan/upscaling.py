"""Simple ways to enlarge images."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from lab.nn.superresolution import enlarged

Upscale = Callable[[Tensor], Tensor]
"""From small images `(B, C, h, w)` to large ones `(B, C, H, W)`, both in [0, 1]."""


def bicubic(factor: int) -> Upscale:
    """Return what enlarges images by piecewise cubic curves; what leaves [0, 1] is cut off."""
    return lambda small: enlarged(small, factor, "bicubic").clamp(0, 1)


def nearest_pixel(factor: int) -> Upscale:
    """Return what repeats each pixel."""
    return lambda small: enlarged(small, factor, "nearest")
