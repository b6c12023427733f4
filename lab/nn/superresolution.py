"""Networks that enlarge images: residual blocks on the small one, then pixel shuffles (SRResNet, Ledig et al. 2017)."""

from __future__ import annotations

from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from lab.errors import ConfigError
from lab.nn.layers import ACTIVATIONS, Activation

Enlargement = Literal["bicubic", "bilinear", "nearest"]


def shrunk(images: Tensor, factor: int) -> Tensor:
    """Return images `(B, C, H / factor, W / factor)` whose pixels are means over squares."""
    return F.avg_pool2d(images, factor)


def enlarged(small: Tensor, factor: int, how: Enlargement) -> Tensor:
    """Return images `(B, C, factor * h, factor * w)` by interpolation; cubic curves may leave the pixels' range."""
    corners = None if how == "nearest" else False
    return F.interpolate(small, scale_factor=factor, mode=how, align_corners=corners)


class ResidualBlock(nn.Module):
    """Two convolutions around an activation, and a shortcut: `(B, F, H, W)` to the same. There is no norm, as it costs
    range and helps nothing (EDSR, Lim et al. 2017, section 3.1)."""

    def __init__(self, filters: int, activation: Activation) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(filters, filters, 3, padding=1),
            ACTIVATIONS[activation](),
            nn.Conv2d(filters, filters, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)  # type: ignore[no-any-return]


class Doubled(nn.Sequential):
    """A map of twice the size: a convolution to four times the channels, of which each pixel is then made of 2x2 (Shi
    et al. 2016)."""

    def __init__(self, filters: int, activation: Activation) -> None:
        convolution = nn.Conv2d(filters, 4 * filters, 3, padding=1)
        super().__init__(convolution, nn.PixelShuffle(2), ACTIVATIONS[activation]())


class SuperResolution(nn.Module):
    """Images `(B, C, h, w)` to images `(B, C, factor * h, factor * w)`: what cubic curves through the pixels give, and
    what the network adds to it (Kim et al. 2016), which is nothing at first. Pixels may leave the range of those given.

    Args:
        channels: of an image, C.
        factor: by which height and width grow; a power of 2.
        filters: of the maps inside, F.
        blocks: residual blocks on the small image.
        activation: between convolutions.

    Raises ConfigError for another factor.
    """

    def __init__(
        self, channels: int, *, factor: int, filters: int = 32, blocks: int = 4, activation: Activation = "relu"
    ) -> None:
        super().__init__()
        if factor < 2 or factor & (factor - 1):
            raise ConfigError(f"images are enlarged by a power of 2, such as 2 or 4, received {factor}")
        self.first = nn.Sequential(nn.Conv2d(channels, filters, 3, padding=1), ACTIVATIONS[activation]())
        blocks_: list[Any] = [ResidualBlock(filters, activation) for _ in range(blocks)]
        self.blocks = nn.Sequential(*blocks_, nn.Conv2d(filters, filters, 3, padding=1))
        self.enlarge = nn.Sequential(*[Doubled(filters, activation) for _ in range(factor.bit_length() - 1)])
        self.output = nn.Conv2d(filters, channels, 3, padding=1)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        added: Tensor = self.output(self.enlarge(first + self.blocks(first)))
        return enlarged(x, self.factor, "bicubic") + added
