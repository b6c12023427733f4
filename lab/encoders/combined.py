"""Several encoders side by side, for inputs of several parts."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from lab.data.spec import InputSpec
from lab.encoders.base import Encoder, EncoderFactory
from lab.encoders.nesting import build_inner
from lab.errors import ConfigError


class Combined(Encoder):
    """One encoder for each part of a dict, and their features one after the other, in the order of the sorted keys.

    Its spec is a dict of `InputSpec`, and its input a dict of tensors with the same keys. That is where it departs
    from the contract: it fits consumers whose inputs are dicts, such as agents with several sensors.

    Args:
        encoders: for each part by its key.
        default: for the parts that have no encoder of their own; null if none may be left.
    """

    spec: dict[str, InputSpec]  # type: ignore[assignment]

    def __init__(
        self,
        spec: dict[str, InputSpec],
        *,
        encoders: dict[str, EncoderFactory] | None = None,
        default: EncoderFactory | None = None,
    ) -> None:
        if not isinstance(spec, dict):
            raise ConfigError(f"Combined needs inputs of several parts, but there is one, of shape {spec.shape}")
        super().__init__(spec)  # type: ignore[arg-type]
        factories = dict.fromkeys(spec, default) | (encoders or {})
        without = {key for key, factory in factories.items() if factory is None}
        _require("Combined has encoders for", factories.keys() - without, spec)
        self.keys = sorted(spec)
        built = {
            key: build_inner(factory, spec[key], f"parts.{i}")
            for i, (key, factory) in enumerate(sorted(factories.items()))
            if factory is not None
        }
        # Not a ModuleDict, which cannot have keys such as "type" or "a.b".
        self.parts = nn.ModuleList(built.values())
        self.settings.update(encoders=built, default=None)
        self.pretrained = any(part.pretrained for part in built.values())
        self.features_dim = sum(part.features_dim for part in built.values())

    def forward(self, x: dict[str, Tensor], mask: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Encode a dict of tensors, each `(B, *spec[key].shape)`, into `(B, features_dim)`.

        Raises ConfigError when its keys are not those of the spec.
        """
        if x.keys() != self.spec.keys():
            _require("the input has", x.keys(), self.keys)
        return torch.cat([part(x[key]) for key, part in zip(self.keys, self.parts, strict=True)], 1)

    def features(self, x: dict[str, Tensor], mask: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """The same vector as `forward`: maps of different parts have no axis in common."""
        return self(x)  # type: ignore[no-any-return]


def _require(what: str, received: Collection[str], expected: Collection[str]) -> None:
    if set(received) != set(expected):
        raise ConfigError(f"{what} the parts {sorted(received)}, expected {sorted(expected)}")
