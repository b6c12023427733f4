"""Inception networks: convolutions of several sizes side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lab.config.types import PositiveInt
from lab.data.spec import InputSpec
from lab.encoders.networks.staged import Staged
from lab.errors import ConfigError
from lab.nn.layers import ACTIVATIONS, Activation, Norm, normalisation
from lab.nn.pooling import ImagePool


class InceptionBlock(nn.Module):
    """Four branches side by side (Szegedy et al. 2015, figure 2b): `(B, C, H, W) -> (B, C', H, W)`.

    1x1; 1x1 then 3x3; 1x1 then 5x5, as two of 3x3 (Szegedy et al. 2016, section 3.1); 3x3 max pooling then 1x1. They
    give a quarter, a half, an eighth and an eighth of the channels, about as in GoogLeNet.
    """

    def __init__(self, in_channels: int, channels: int, *, activation: Activation, norm: Norm) -> None:
        super().__init__()

        def conv(before: int, after: int, kernel: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=norm == "none"),
                *normalisation(norm, after),
                ACTIVATIONS[activation](),
            )

        one, three, five = channels // 4, channels // 2, channels // 8
        self.branches = nn.ModuleList(
            [
                conv(in_channels, one, 1),
                nn.Sequential(conv(in_channels, three // 2, 1), conv(three // 2, three, 3)),
                nn.Sequential(conv(in_channels, five, 1), conv(five, five, 3), conv(five, five, 3)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(in_channels, channels - one - three - five, 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Inception(Staged):
    """A 3x3 stem and stages of Inception blocks, each of which ends with 3x3 max pooling of stride 2 but the last
    (GoogLeNet, Szegedy et al. 2015).

    Args:
        channels: of each stage, fine to coarse: multiples of 8, of 64 with group norm.
        blocks: Inception blocks in each stage.
        stem: channels of the first convolution.
        stem_stride: of the first convolution.
        activation: of each convolution.
        norm: `batch` as in the later versions, `group`, `layer` or `none`.
        pool: `mean` as in the paper; `flatten` keeps position.
    """

    def __init__(
        self,
        spec: InputSpec,
        *,
        channels: Sequence[PositiveInt] = (64, 128, 256),
        blocks: PositiveInt = 2,
        stem: PositiveInt = 32,
        stem_stride: PositiveInt = 1,
        activation: Activation = "relu",
        norm: Norm = "batch",
        pool: ImagePool = "mean",
    ) -> None:
        if not channels or any(count % 8 for count in channels):
            raise ConfigError(f"Inception needs stages whose channels are multiples of 8, received {list(channels)}")
        super().__init__(spec, activation=activation, norm=norm, pool=pool)
        in_channels, height, width = self.shapes[0]
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, stem, 3, stem_stride, 1, bias=norm == "none"),
            *normalisation(norm, stem),
            ACTIVATIONS[activation](),
        )
        height, width = -(-height // stem_stride), -(-width // stem_stride)
        previous = stem
        for i, count in enumerate(channels):
            widths = [previous, *[count] * (blocks - 1)]
            stage: list[nn.Module] = [InceptionBlock(one, count, activation=activation, norm=norm) for one in widths]
            if i < len(channels) - 1:
                stage.append(nn.MaxPool2d(3, 2, 1))
                height, width = -(-height // 2), -(-width // 2)
            self.add_stage(nn.Sequential(*stage), (count, height, width), kernel=3)
            previous = count
        self.end()
