"""Residual networks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lab.config.types import PositiveInt
from lab.data.spec import InputSpec, require_one_input
from lab.encoders.base import Encoder
from lab.errors import ConfigError
from lab.nn.decoders import ConvDecoder, Decoder
from lab.nn.layers import ACTIVATIONS, Activation, Norm, normalisation
from lab.nn.pooling import ImagePool, pool_image, pooled_size


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


class ResNet(Encoder):
    """A 3x3 stem and stages of basic blocks; each stage after the first halves the resolution (He et al. 2015).

    `channels: [16, 32, 64], blocks: 3` is the paper's ResNet-20 for small images (section 4.2).

    Args:
        channels: of each stage, fine to coarse.
        blocks: basic blocks in each stage.
        activation: after each block and inside it.
        norm: `batch`, `group` or `none`.
        pool: `mean` as in the paper; `flatten` keeps position.
    """

    def __init__(
        self,
        spec: InputSpec,
        *,
        channels: Sequence[PositiveInt] = (16, 32, 64),
        blocks: PositiveInt = 2,
        activation: Activation = "relu",
        norm: Norm = "batch",
        pool: ImagePool = "mean",
    ) -> None:
        require_one_input(spec, "ResNet")
        super().__init__(spec)
        in_channels, height, width = spec.require_image("ResNet")
        if not channels:
            raise ConfigError("ResNet needs at least one stage of channels, received none")
        self.pool, self.activation, self.norm = pool, activation, norm
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, channels[0], 3, 1, 1, bias=norm == "none"),
            *normalisation(norm, channels[0]),
            ACTIVATIONS[activation](),
        )
        self.blocks = nn.ModuleList()
        self.shapes: list[tuple[int, int, int]] = [(in_channels, height, width)]
        previous = channels[0]
        for i, width_i in enumerate(channels):
            stride = 1 if i == 0 else 2
            stage = [BasicBlock(previous, width_i, stride, activation=activation, norm=norm)]
            stage += [BasicBlock(width_i, width_i, 1, activation=activation, norm=norm) for _ in range(blocks - 1)]
            self.blocks.append(nn.Sequential(*stage))
            height, width = -(-height // stride), -(-width // stride)
            self.shapes.append((width_i, height, width))
            previous = width_i
        self.features_dim = pooled_size(self.shapes[-1], pool)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return pool_image(self.features(x), self.pool)

    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.stages(x)[-1]

    def stages(self, x: Tensor) -> list[Tensor]:
        """Return the map after each stage, fine to coarse: `(B, C_i, H_i, W_i)`."""
        x = self.stem(x)
        maps: list[Tensor] = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return maps

    def mirror(self, in_features: int, *, batch_norm: bool | None = None) -> Decoder:
        return ConvDecoder(
            self.spec,
            in_features,
            shapes=self.shapes[::-1],
            kernels=[3] * len(self.blocks),
            activation=self.activation,
            batch_norm=self.norm == "batch" if batch_norm is None else batch_norm,
        )
