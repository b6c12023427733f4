"""An encoder chosen by the shape of the input, for configs that are used with different inputs."""

from __future__ import annotations

from collections.abc import Sequence

from lab.config.types import PositiveInt
from lab.data.spec import Spec
from lab.encoders.base import Encoder, EncoderSource
from lab.encoders.combined import Combined
from lab.encoders.networks.conv import Conv, ConvStage
from lab.encoders.networks.mlp import MLP
from lab.nn.layers import Activation

NATURE = (
    ConvStage(32, kernel=8, stride=4, padding=0),
    ConvStage(64, kernel=4, stride=2, padding=0),
    ConvStage(64, padding=0),
)
"""The stages of Mnih et al. (2015)."""

NATURE_SIDE = 36
"""Side of the smallest image that these stages can take. Smaller images get the default stages of `Conv`."""


class ByShape(EncoderSource):
    """A `Conv` for an image, an `MLP` for any other input, and a `Combined` of these for several inputs.

    Args:
        hidden: widths of the MLP.
        activation: of the MLP.
        image_hidden: widths of the dense layers after the Conv.
    """

    def __init__(
        self,
        hidden: Sequence[PositiveInt] = (64, 64),
        activation: Activation = "tanh",
        image_hidden: Sequence[PositiveInt] = (512,),
    ) -> None:
        self.hidden, self.activation, self.image_hidden = list(hidden), activation, list(image_hidden)

    def __call__(self, spec: Spec) -> Encoder:
        if isinstance(spec, dict):
            return Combined(spec, default=self)
        if len(spec.shape) == 3:
            stages = NATURE if min(spec.shape[1:]) >= NATURE_SIDE else None
            return Conv(spec, stages=stages, hidden=self.image_hidden)
        return MLP(spec, hidden=self.hidden, activation=self.activation)
