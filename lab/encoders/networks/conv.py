"""Convolutional networks, from LeNet to VGG, by settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from lab.config.types import NonNegativeInt, PositiveInt, Probability
from lab.data.spec import InputSpec, require_one_input
from lab.encoders.base import Encoder
from lab.errors import ConfigError
from lab.nn.decoders import ConvDecoder, Decoder
from lab.nn.layers import ACTIVATIONS, Activation, Norm, dense, normalisation
from lab.nn.pooling import ImagePool, pool_image, pooled_size


@dataclass(frozen=True)
class ConvStage:
    """One resolution of a convolutional network.

    Args:
        channels: output channels of every convolution in the stage.
        kernel: side of the kernel.
        stride: of the stage's first convolution.
        repeat: convolutions in the stage (VGG has two or three).
        max_pool: side and stride of the max pooling that ends the stage; 1 for none.
        padding: zeros on each side of every convolution's input; null for `kernel // 2`.
    """

    channels: PositiveInt
    kernel: PositiveInt = 3
    stride: PositiveInt = 1
    repeat: PositiveInt = 1
    max_pool: PositiveInt = 1
    padding: NonNegativeInt | None = None

    @property
    def zeros(self) -> int:
        """Zeros on each side of a convolution's input."""
        return self.kernel // 2 if self.padding is None else self.padding


class Conv(Encoder):
    """Stages of convolution, norm, activation and dropout, then optional dense layers.

    LeNet-5 (LeCun et al. 1998): `stages: [{channels: 6, kernel: 5, max_pool: 2}, {channels: 16, kernel: 5,
    max_pool: 2}], hidden: [120, 84], activation: tanh`. AlexNet (2012): larger kernels and strides, and `hidden`
    with `dropout: 0.5`.
    VGG (2014): `kernel: 3`, `repeat: 2` or 3, `max_pool: 2` in every stage. DQN's network for Atari (Mnih et al. 2015):
    `stages: [{channels: 32, kernel: 8, stride: 4, padding: 0}, {channels: 64, kernel: 4, stride: 2, padding: 0},
    {channels: 64, padding: 0}], hidden: [512]`.

    Args:
        stages: fine to coarse; null for two, of 32 and 64 channels, that each halve the resolution.
        hidden: widths of dense layers after pooling; empty for none.
        activation: after every layer.
        norm: `batch` (Ioffe & Szegedy 2015), `group` (8 groups, Wu & He 2018) or `none`, before each activation.
        dropout: probability, of whole channels after each stage and of units after each dense layer.
        pool: `flatten` keeps position, which RL and VAEs need; `mean` and `max` take any image size.
    """

    def __init__(
        self,
        spec: InputSpec,
        *,
        stages: Sequence[ConvStage] | None = None,
        hidden: Sequence[PositiveInt] = (),
        activation: Activation = "relu",
        norm: Norm = "none",
        dropout: Probability = 0.0,
        pool: ImagePool = "flatten",
    ) -> None:
        require_one_input(spec, "Conv")
        super().__init__(spec)
        if stages is not None and not stages:
            raise ConfigError("Conv needs at least one stage, received none")
        channels, *size = spec.require_image("Conv")
        self.plan = list(stages or (ConvStage(32, stride=2), ConvStage(64, stride=2)))
        self.hidden, self.activation, self.norm, self.pool = list(hidden), activation, norm, pool
        self.blocks = nn.ModuleList()
        self.shapes: list[tuple[int, int, int]] = [(channels, *size)]  # type: ignore[list-item]  # input of each stage, then the output
        for stage in self.plan:
            self.blocks.append(_block(self.shapes[-1][0], stage, activation, norm, dropout))
            size = [_reduced(side, stage) for side in size]
            if min(size) < 1:
                raise ConfigError(f"Conv has too many stages for images of shape {spec.shape}: nothing is left of them")
            self.shapes.append((stage.channels, *size))  # type: ignore[arg-type]
        pooled = pooled_size(self.shapes[-1], pool)
        self.dense = dense(pooled, hidden, activation, dropout=dropout)
        self.features_dim = self.hidden[-1] if self.hidden else pooled

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.dense(pool_image(self.features(x), self.pool))  # type: ignore[no-any-return]

    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x

    def stages(self, x: Tensor) -> list[Tensor]:
        """Return the map after each stage, fine to coarse: `(B, C_i, H_i, W_i)`."""
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
            kernels=[stage.kernel for stage in self.plan][::-1],
            hidden=self.hidden[::-1],
            activation=self.activation,
            batch_norm=self.norm == "batch" if batch_norm is None else batch_norm,
        )


def _block(in_channels: int, stage: ConvStage, activation: Activation, norm: Norm, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(stage.repeat):
        stride = stage.stride if i == 0 else 1
        layers.append(nn.Conv2d(in_channels, stage.channels, stage.kernel, stride, stage.zeros, bias=norm == "none"))
        layers += normalisation(norm, stage.channels)
        layers.append(ACTIVATIONS[activation]())
        in_channels = stage.channels
    if stage.max_pool > 1:
        layers.append(nn.MaxPool2d(stage.max_pool))
    if dropout:
        layers.append(nn.Dropout2d(dropout))
    return nn.Sequential(*layers)


def _reduced(side: int, stage: ConvStage) -> int:
    """Side of a map after the stage, by the formula in nn.Conv2d's documentation."""
    side = (side + 2 * stage.zeros - stage.kernel) // stage.stride + 1
    for _ in range(stage.repeat - 1):
        side = side + 2 * stage.zeros - stage.kernel + 1
    return side // stage.max_pool
