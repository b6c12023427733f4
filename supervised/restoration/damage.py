"""What happens to an image before a network is to restore it, and what a sceptic would try instead of a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.config.types import PositiveFloat, PositiveInt
from lab.errors import ConfigError
from lab.nn.superresolution import Enlargement, enlarged, shrunk

Restore = Callable[[Tensor], Tensor]
"""From damaged images to images `(B, C, H, W)` in [0, 1]."""
MEDIANS = (3, 5)  # sides of the squares whose median is taken


class Damage(ABC):
    """Turns images `(B, C, H, W)` in [0, 1] into worse ones."""

    @abstractmethod
    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the damaged images. Random numbers are the generator's, or torch's own."""

    @abstractmethod
    def simple(self) -> Mapping[str, Restore]:
        """Return simple ways to restore them, by name; the one that a network has to beat first."""

    @abstractmethod
    def shown(self, damaged: Tensor) -> Tensor:
        """Return damaged images as they are drawn, `(B, C, H, W)` in [0, 1]."""

    def require_fitting(self, shape: tuple[int, int, int]) -> None:  # noqa: B027  # most fit all images
        """Raise ConfigError where images of this shape cannot be damaged so."""


class Shrink(Damage):
    """Each pixel is the mean over a square of pixels.

    Args:
        factor: side of the square; a power of 2 that divides the image's sides.
    """

    def __init__(self, factor: PositiveInt = 4) -> None:
        self.factor = factor

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return shrunk(images, self.factor)

    def simple(self) -> Mapping[str, Restore]:
        return {way: partial(self._enlarged, how=way) for way in get_args(Enlargement)}

    def shown(self, damaged: Tensor) -> Tensor:
        return self._enlarged(damaged, "nearest")

    def require_fitting(self, shape: tuple[int, int, int]) -> None:
        if shape[1] % self.factor or shape[2] % self.factor:
            raise ConfigError(
                f"model.factor must divide the images' {shape[1]} x {shape[2]} pixels, received {self.factor}"
            )

    def _enlarged(self, damaged: Tensor, how: Enlargement) -> Tensor:
        return enlarged(damaged, self.factor, how).clamp(0, 1)


class Noise(Damage):
    """Gaussian noise on each pixel; what leaves [0, 1] is cut off.

    Args:
        deviation: its standard deviation.
    """

    def __init__(self, deviation: PositiveFloat = 0.5) -> None:
        self.deviation = deviation

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        return (images + self.deviation * noise).clamp(0, 1)

    def simple(self) -> Mapping[str, Restore]:
        return {f"median of {side}x{side}": partial(median, side=side) for side in MEDIANS} | {"as it is": self.shown}

    def shown(self, damaged: Tensor) -> Tensor:
        return damaged


def median(images: Tensor, side: int) -> Tensor:
    """Return the median of each pixel's square, in images `(B, C, H, W)` whose border is repeated outwards."""
    around = side // 2
    padded = F.pad(images, (around, around, around, around), mode="replicate")
    squares = padded.unfold(2, side, 1).unfold(3, side, 1)  # (B, C, H, W, side, side)
    return squares.flatten(4).median(4).values
