"""Residual networks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lab.config.roles import Roles
from lab.config.types import PositiveInt
from lab.data.spec import InputSpec
from lab.encoders.networks.staged import Staged
from lab.errors import ConfigError
from lab.nn.layers import ACTIVATIONS, Activation, Norm, normalisation
from lab.nn.pooling import ImagePool


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2015, section 3.3): `(B, C, H, W) -> (B, C', H/s, W/s)`."""

    def __init__(self, in_channels: int, channels: int, stride: int, *, activation: Activation, norm: Norm) -> None:
        super().__init__()
        bias = norm == "none"
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, stride, 1, bias=bias),
            *normalisation(norm, channels),
            ACTIVATIONS[activation](),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=bias),
            *normalisation(norm, channels),
        )
        # Option B of the paper: a 1x1 projection only where the shape changes, the identity elsewhere.
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=bias), *normalisation(norm, channels)
            )
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.shortcut(x) + self.residual(x))  # type: ignore[no-any-return]


class ResNet(Staged):
    """A 3x3 stem and stages of basic blocks; each stage after the first halves the resolution (He et al. 2015).

    `channels: [16, 32, 64], blocks: 3` is the paper's ResNet-20 for small images (section 4.2).

    Args:
        channels: of each stage, fine to coarse.
        blocks: basic blocks in each stage.
        stem_stride: of the stem; 2 halves the resolution of all maps, which is a quarter of the arithmetic.
        activation: after each block and inside it.
        norm: `batch`, `group`, `layer` or `none`.
        pool: `mean` as in the paper; `flatten` keeps position.
    """

    roles = Roles(added={"stem_stride": 1})

    def __init__(
        self,
        spec: InputSpec,
        *,
        channels: Sequence[PositiveInt] = (16, 32, 64),
        blocks: PositiveInt = 2,
        stem_stride: PositiveInt = 1,
        activation: Activation = "relu",
        norm: Norm = "batch",
        pool: ImagePool = "mean",
    ) -> None:
        if not channels:
            raise ConfigError("ResNet needs at least one stage of channels, received none")
        super().__init__(spec, activation=activation, norm=norm, pool=pool)
        in_channels, height, width = self.shapes[0]
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, channels[0], 3, stem_stride, 1, bias=norm == "none"),
            *normalisation(norm, channels[0]),
            ACTIVATIONS[activation](),
        )
        height, width = -(-height // stem_stride), -(-width // stem_stride)
        previous = channels[0]
        for i, count in enumerate(channels):
            stride = 1 if i == 0 else 2
            stage = [BasicBlock(previous, count, stride, activation=activation, norm=norm)]
            stage += [BasicBlock(count, count, 1, activation=activation, norm=norm) for _ in range(blocks - 1)]
            height, width = -(-height // stride), -(-width // stride)
            self.add_stage(nn.Sequential(*stage), (count, height, width), kernel=3)
            previous = count
        self.end()
