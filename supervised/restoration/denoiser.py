"""Noise taken away by regression."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lab.config.types import PositiveFloat, PositiveInt
from lab.data.spec import DataSpec
from lab.nn.unet import UNet
from supervised.restoration.damage import Noise
from supervised.restoration.restorer import Error, Restorer


class Denoiser(Restorer):
    """Takes Gaussian noise away by a U-Net (`lab.nn.unet`).

    Args:
        deviation: of the noise on each pixel; what leaves [0, 1] is cut off.
        widths: channels of the maps at each resolution, fine to coarse, multiples of 8.
        blocks: residual blocks at each resolution, on either way.
        patch: side of the squares of pixels that are one place of the finest map.
        loss: `squared` error of the pixels, or `absolute`.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        deviation: PositiveFloat = 0.5,
        widths: Sequence[PositiveInt] = (32, 64),
        blocks: PositiveInt = 1,
        patch: PositiveInt = 2,
        loss: Error = "squared",
    ) -> None:
        channels, *_ = spec.require_one_input("Denoiser").require_image("Denoiser")
        network = Added(UNet(channels, channels, channels=tuple(widths), blocks=blocks, heads=0, patch=patch))
        super().__init__(spec, network=network, damage=Noise(deviation), loss=loss)


class Added(nn.Module):
    """What a network makes of an image is added to it: one that begins at 0 leaves images as they are."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.network(x))
