"""Several encoders side by side, for several inputs."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from lab.data.spec import InputSpec
from lab.encoders.base import Encoder, EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError


class Combined(Encoder):
    """One encoder for each input of a dict. Their vectors are concatenated in the order of the sorted keys.

    Its spec is a dict of `InputSpec`. Inputs and masks are dicts of tensors with the same keys. It suits agents with
    several sensors, and models with several inputs.

    Args:
        encoders: an encoder for each key.
        default: for the keys without an encoder of their own; null where there must be none.
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
            raise ConfigError(f"Combined needs several inputs, but there is one, of shape {spec.shape}")
        super().__init__(spec)  # type: ignore[arg-type]
        factories = dict.fromkeys(spec, default) | (encoders or {})
        without = {key for key, factory in factories.items() if factory is None}
        _require("Combined has encoders for", factories.keys() - without, spec)
        self.keys = sorted(spec)
        built = {
            key: build_encoder(factory, spec[key]) for key, factory in sorted(factories.items()) if factory is not None
        }
        # Not a ModuleDict, which cannot have keys such as "type" or "a.b".
        self.parts = nn.ModuleList(built.values())
        self.settings.update(encoders=built, default=None)
        self.pretrained = any(part.pretrained for part in built.values())
        self.takes_masks = all(part.takes_masks for key, part in built.items() if spec[key].time)
        self.features_dim = sum(part.features_dim for part in built.values())

    def forward(self, x: dict[str, Tensor], mask: dict[str, Tensor] | None = None) -> Tensor:  # type: ignore[override]
        """Encode a dict of tensors, each `(B, *spec[key].shape)`, into `(B, features_dim)`.

        `mask` has the masks of those inputs that have one, by key. Raises ConfigError where the keys of `x` are not
        those of the spec.
        """
        if x.keys() != self.spec.keys():
            _require("the input has", x.keys(), self.keys)
        parts = zip(self.keys, self.parts, strict=True)
        if not mask:
            return torch.cat([part(x[key]) for key, part in parts], 1)
        return torch.cat([part(x[key], mask.get(key)) for key, part in parts], 1)

    def features(self, x: dict[str, Tensor], mask: dict[str, Tensor] | None = None) -> Tensor:  # type: ignore[override]
        """The same vector as `forward`: maps of different inputs have no axis in common."""
        return self(x, mask)  # type: ignore[no-any-return]

    def layers_in_order(self) -> list[list[nn.Parameter]]:
        """The parts stand side by side: their last layers are one, and so on."""
        stacks: list[list[list[nn.Parameter]]] = [part.layers_in_order() for part in self.parts]  # type: ignore[operator]
        heights = range(max(map(len, stacks)), 0, -1)
        return [[one for stack in stacks if len(stack) >= height for one in stack[-height]] for height in heights]


def _require(what: str, received: Collection[str], expected: Collection[str]) -> None:
    if set(received) != set(expected):
        raise ConfigError(f"{what} the parts {sorted(received)}, expected {sorted(expected)}")
