"""The encoder contract: what every paradigm of the lab may rely on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

from torch import Tensor, nn

from lab.data.spec import InputSpec
from lab.errors import ConfigError
from lab.nn.decoders import Decoder


class Encoder(nn.Module, ABC):
    """Turns a batch of inputs into one feature vector each. No head inside: the consumer adds its own.

    Built as `Class(spec, *, settings)`. The settings are recorded in `self.settings`, so that an encoder can be
    written to a file and rebuilt from it (`lab.encoders.files`); encoders inside this one stand among them as they
    were built (`lab.encoders.nesting`).
    """

    spec: InputSpec
    features_dim: int
    settings: dict[str, Any]
    pretrained = False
    """Whether the weights come from a file: who initialises weights anew must put these back."""
    frozen = False
    """Whether the weights and all statistics must stay as they are."""

    def __new__(cls, *args: Any, **settings: Any) -> Encoder:
        if missing := cls.__abstractmethods__:
            raise ConfigError(f"the encoder {cls.__name__} lacks the methods {', '.join(sorted(missing))}")
        # Recorded here and not in each subclass: a setting that a subclass forgot would only be missed much
        # later, by whoever loads the file. Stored past nn.Module.__setattr__, which needs __init__ first.
        self: Encoder = super().__new__(cls)
        self.__dict__["settings"] = settings
        return self

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.spec = spec

    def train(self, mode: bool = True) -> Self:
        """Set the mode; a frozen encoder stays in eval mode, or its batch norms would go on learning."""
        return super().train(mode and not self.frozen)

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Encode `x` of shape `(B, *spec.shape)` into `(B, features_dim)`, float32, and leave `x` as it is.

        `mask` is `(B, T)` and true where a sequence has a real element; images and vectors take none.
        """

    @abstractmethod
    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the unpooled map `(B, C, H, W)` or sequence `(B, T, F)` under `forward`'s vector."""

    def mirror(self, in_features: int, *, batch_norm: bool | None = None) -> Decoder:
        """Return a decoder from `(B, in_features)` back to logits of `spec.shape`, shaped like this encoder.

        `batch_norm` by default is as in the encoder.
        """
        raise ConfigError(f"{type(self).__name__} has no mirrored decoder; name one under model.decoder")


EncoderFactory = Callable[[Any], Encoder]
"""How a config gives an encoder: a class and its settings, still waiting for the spec. Each call builds anew.

The spec is an InputSpec, or for `Combined` a dict of them.
"""
