"""Convolutional networks from LeNet to VGG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from lab.config.types import NonNegativeInt, PositiveInt, Probability
from lab.data.spec import InputSpec
from lab.encoders.networks.staged import Staged
from lab.errors import ConfigError
from lab.nn.layers import ACTIVATIONS, Activation, Norm, normalisation
from lab.nn.pooling import ImagePool


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


class Conv(Staged):
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
        norm: `batch` (Ioffe & Szegedy 2015), `group` (8 groups, Wu & He 2018), `layer` (one group; Ba et al. 2016) or
            `none`, before each activation.
        dropout: probability, of whole channels after each stage and of units after each dense layer.
        pool: `flatten` keeps position, which agents and VAEs need; `mean` and `max` take any image size.
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
        if stages is not None and not stages:
            raise ConfigError("Conv needs at least one stage, received none")
        super().__init__(spec, activation=activation, norm=norm, pool=pool)
        for stage in stages or (ConvStage(32, stride=2), ConvStage(64, stride=2)):
            channels, height, width = self.shapes[-1]
            height, width = _reduced(height, stage), _reduced(width, stage)
            block = _block(channels, stage, activation, norm, dropout)
            if min(height, width) < 1:
                raise ConfigError(f"Conv has too many stages for images of shape {spec.shape}: nothing is left of them")
            self.add_stage(block, (stage.channels, height, width), kernel=stage.kernel)
        self.end(hidden, dropout=dropout)


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
    """Return the side of a map after the stage, by the formula in the documentation of nn.Conv2d."""
    side = (side + 2 * stage.zeros - stage.kernel) // stage.stride + 1
    for _ in range(stage.repeat - 1):
        side = side + 2 * stage.zeros - stage.kernel + 1
    return side // stage.max_pool
