"""Layers that encoders and decoders share: activations, norms, stacks of dense layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor, nn

from lab.errors import ConfigError

Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}

Norm = Literal["none", "batch", "group"]


def normalisation(norm: Norm, channels: int) -> list[nn.Module]:
    """Return the norm for maps of this many channels in a list, which is empty for `none`. Raises ConfigError where
    `group` does not divide the channels."""
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    if norm == "group":
        if channels % 8:
            raise ConfigError(f"norm group needs channels divisible by its 8 groups, received {channels}")
        return [nn.GroupNorm(8, channels)]
    return []


def dense(
    in_features: int, hidden: Sequence[int], activation: Activation, *, batch_norm: bool = False, dropout: float = 0.0
) -> nn.Sequential:
    """Return linear layers `(B, in_features) -> (B, hidden[-1])`, each with its norm, activation and dropout."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers.append(nn.Linear(in_features, width, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        layers.append(ACTIVATIONS[activation]())
        if dropout:
            layers.append(nn.Dropout(dropout))
        in_features = width
    return nn.Sequential(*layers)


class ResidualLayer(nn.Module):
    """What a normed linear layer makes of its input is added to it: `(B, F)` to the same (He et al. 2016; the norm
    before, Ba et al. 2016, Xiong et al. 2020)."""

    def __init__(self, width: int, activation: Activation, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), ACTIVATIONS[activation](), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)  # type: ignore[no-any-return]
