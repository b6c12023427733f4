"""The encoder that suits an input, where a config cannot know which one it will get."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from lab.config.types import PositiveInt
from lab.data.spec import InputSpec, Spec
from lab.encoders.base import Encoder
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
"""Side of an image from which on these stages leave something of it; smaller ones get those of `Conv`'s own."""


class ByShape(Encoder):
    """Stands for a `Conv` where the input is an image, for a `Combined` of such where it has several parts, and for an
    `MLP` else: building it gives that very encoder, and a run exports it under its own name.

    Args:
        hidden: widths of the MLP.
        activation: of the MLP.
        image_hidden: widths of the dense layers that end the Conv.
    """

    def __new__(
        cls,
        spec: Spec,
        *,
        hidden: Sequence[PositiveInt] = (64, 64),
        activation: Activation = "tanh",
        image_hidden: Sequence[PositiveInt] = (512,),
    ) -> Any:
        # Not an instance of this class, so Python does not call __init__ on it (see Pretrained).
        if isinstance(spec, dict):
            again = partial(cls, hidden=hidden, activation=activation, image_hidden=image_hidden)
            return Combined(spec, default=again)
        if len(spec.shape) == 3:
            stages = NATURE if min(spec.shape[1:]) >= NATURE_SIDE else None
            return Conv(spec, stages=stages, hidden=image_hidden)
        return MLP(spec, hidden=hidden, activation=activation)

    def __init__(
        self,
        spec: InputSpec,
        *,
        hidden: Sequence[PositiveInt] = (64, 64),
        activation: Activation = "tanh",
        image_hidden: Sequence[PositiveInt] = (512,),
    ) -> None:
        raise NotImplementedError("never reached; it is here for its signature, which is the schema of the config")
