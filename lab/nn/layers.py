"""Layers that encoders and decoders share: activations, norms, stacks of dense layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from lab.errors import ConfigError

Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu", "elu", "selu"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
}

Norm = Literal["none", "batch", "group", "layer"]


def normalisation(norm: Norm, channels: int) -> list[nn.Module]:
    """Return the norm for maps of this many channels in a list, which is empty for `none`. Raises ConfigError where
    `group` does not divide the channels."""
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    if norm == "group":
        if channels % 8:
            raise ConfigError(f"norm group needs channels divisible by its 8 groups, received {channels}")
        return [nn.GroupNorm(8, channels)]
    if norm == "layer":  # over all channels and places of an example
        return [nn.GroupNorm(1, channels)]
    return []


def dense(
    in_features: int,
    hidden: Sequence[int],
    activation: Activation,
    *,
    batch_norm: bool = False,
    layer_norm: bool = False,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Return linear layers `(B, in_features) -> (B, hidden[-1])`, each with its norm, activation and dropout."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers.append(nn.Linear(in_features, width, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        if layer_norm:
            layers.append(nn.LayerNorm(width))
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


Initialisation = Literal["default", "xavier", "kaiming", "lecun", "orthogonal"]

SCHEMES: dict[str, Callable[[Tensor], Tensor]] = {
    "xavier": nn.init.xavier_uniform_,
    "kaiming": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "lecun": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="linear"),
    "orthogonal": nn.init.orthogonal_,
}


@torch.no_grad()
def initialise(network: nn.Module, scheme: Initialisation) -> None:
    """Draw the weights of all linear and convolutional layers anew, and set their biases to 0.

    Layers that begin at 0 stay so, and so do pretrained encoders. `default` changes nothing. Embeddings and recurrent
    layers have schemes of their own.

    Args:
        scheme: `xavier`, a variance of 2 / (inputs + outputs) (Glorot & Bengio 2010), for tanh; `kaiming`, 2 / inputs
            (He et al. 2015), for ReLU; `lecun`, 1 / inputs (LeCun et al. 1998), for SELU (Klambauer et al. 2017); or
            `orthogonal` (Saxe et al. 2014), which keeps lengths.
    """
    if scheme == "default":
        return
    stay = {part for one in network.modules() if getattr(one, "pretrained", False) for part in one.modules()}
    for layer in network.modules():
        weight = layer._parameters.get("weight")  # not one that is computed from others, as by spectral norm
        if isinstance(layer, nn.Linear | _ConvNd) and layer not in stay and weight is not None and weight.any():
            SCHEMES[scheme](weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
