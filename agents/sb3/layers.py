"""The layers of an agent's networks as Stable-Baselines3's own networks have them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from lab.errors import ConfigError

PLAIN = "plain Stable-Baselines3"
IDENTITIES = (nn.Dropout, nn.Dropout2d, nn.Identity)  # outside training
ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU)


def plain_layers(modules: nn.Module | Iterable[nn.Module]) -> list[nn.Module]:
    """Return the layers inside, in order, as SB3's networks could have them: batch norms folded into what is before
    them, dropout left out. Raises ConfigError for any other."""
    layers: list[nn.Module] = []
    for module in leaves(modules):
        if isinstance(module, nn.BatchNorm1d) and layers and isinstance(layers[-1], nn.Linear):
            layers[-1] = fuse_linear_bn_eval(layers[-1], module)
        elif isinstance(module, nn.BatchNorm2d) and layers and isinstance(layers[-1], nn.Conv2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], module)
        elif isinstance(module, (nn.Linear, nn.Conv2d, *ACTIVATIONS)):
            layers.append(module)
        elif not isinstance(module, IDENTITIES):
            raise ConfigError(f"{PLAIN} has no {type(module).__name__} in its networks, and this agent's encoder has")
    return layers


def leaves(modules: nn.Module | Iterable[nn.Module]) -> Iterable[nn.Module]:
    """Return the modules that have no others inside."""
    for top in [modules] if isinstance(modules, nn.Module) else modules:
        yield from (module for module in top.modules() if not list(module.children()) and _does_something(module))


def _does_something(module: nn.Module) -> bool:
    return not isinstance(module, nn.Sequential | nn.ModuleList)  # an empty one is a leaf, too


def architecture(nets: dict[str, list[nn.Module]]) -> dict[str, Any]:
    """Return SB3's `net_arch` and `activation_fn` for alternating linear layers and activations."""
    widths: dict[str, list[int]] = {}
    kinds: dict[str, nn.Module] = {}
    for name, layers in nets.items():
        linear, activations = layers[::2], layers[1::2]
        widths[name] = [int(layer.out_features) for layer in linear if isinstance(layer, nn.Linear)]
        kinds |= {str(activation): activation for activation in activations}
        if len(widths[name]) != len(layers) / 2 or not all(isinstance(a, ACTIVATIONS) for a in activations):
            raise ConfigError(f"{PLAIN} has one activation after every hidden layer, but this agent's are {layers}")
    if len(kinds) > 1:
        raise ConfigError(
            f"{PLAIN} has one activation for all hidden layers, but this agent has {' and '.join(sorted(kinds))}; an "
            "encoder without agent.net_arch has one"
        )
    result: dict[str, Any] = {"net_arch": widths.get("", widths)}
    for activation in kinds.values():
        result["activation_fn"] = (
            partial(nn.LeakyReLU, activation.negative_slope)
            if isinstance(activation, nn.LeakyReLU)
            else type(activation)
        )
    return result


def copy_weights(layers: Sequence[nn.Module], into: nn.Module) -> None:
    """Copy weights layer by layer; `into` may be SB3's empty extractor, for an empty list."""
    for source, target in zip(_with_weights(layers), _with_weights(leaves(into)), strict=True):
        target.load_state_dict(source.state_dict())


def _with_weights(layers: Iterable[nn.Module]) -> list[nn.Module]:
    return [layer for layer in layers if list(layer.parameters())]


def settings_of(layer: nn.Module) -> str:
    """Return all of a layer's settings but its weights, as torch prints them."""
    return str(layer)
