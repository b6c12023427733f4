"""An encoder as two files, `encoder.safetensors` and `encoder.json`, that any paradigm can load.

Opening them never runs code from them: weights are safetensors, and the class is looked up, not imported by name.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from argparse import ArgumentError
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from lab import encoders
from lab.encoders.base import Encoder
from lab.errors import CheckpointError, ConfigError, nearest
from lab.files import write_atomic, write_json
from lab.spec import InputSpec

WEIGHTS, DESCRIPTION = "encoder.safetensors", "encoder.json"


def plain_state(encoder: Encoder) -> dict[str, Tensor]:
    """Return the weights as a plain encoder of the same class has them, with parametrizations folded in.

    A discriminator's trunk under spectral norm thus loads into an ordinary `Conv` that computes the same features.
    """
    frozen = copy.deepcopy(encoder).eval()  # eval: a training-mode spectral norm would take one more power iteration
    state = {name: value for name, value in frozen.state_dict().items() if "parametrizations." not in name}
    for path, module in frozen.named_modules():
        for name in getattr(module, "parametrizations", ()):
            state[f"{path}.{name}".lstrip(".")] = getattr(module, name)
    return {name: value.detach().cpu().contiguous() for name, value in state.items()}


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Write `encoder` into `folder`, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / WEIGHTS, save(plain_state(encoder)))
    write_json(
        folder / DESCRIPTION,
        {
            "schema": 1,
            "class": f"{type(encoder).__module__}.{type(encoder).__qualname__}",
            "spec": dataclasses.asdict(encoder.spec),
            "settings": _plain(encoder.settings),
            "features_dim": encoder.features_dim,
        },
    )


def load_encoder(folder: Path, *, classes: Iterable[type[Encoder]] = ()) -> Encoder:
    """Rebuild the encoder in `folder`, on the CPU and in eval mode.

    The class must be one of the lab's own or one in `classes`: a file does not get to choose what is imported.
    Raises CheckpointError when the files are missing or do not belong together, ConfigError for another class.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        known = {f"{c.__module__}.{c.__qualname__}": c for c in (*_own_classes(), *classes)}
        name, spec, settings = description["class"], description["spec"], description["settings"]
        if name not in known:
            raise ConfigError(f"{folder} holds a {name}; pass that class in `classes` to load it{nearest(name, known)}")
        encoder = known[name](InputSpec(**{**spec, "shape": tuple(spec["shape"])}), **_typed(known[name], settings))
        encoder.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ArgumentError, SafetensorError) as error:
        raise CheckpointError(f"no encoder can be loaded from {folder}: {error}") from error
    return encoder.eval()


def _own_classes() -> list[type[Encoder]]:
    exported = (getattr(encoders, name) for name in encoders.__all__)
    return [c for c in exported if isinstance(c, type) and issubclass(c, Encoder)]


def _plain(value: Any) -> Any:
    """Settings as JSON can hold them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _typed(cls: type[Encoder], settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as the class's signature has them: jsonargparse rebuilds nested dataclasses and checks every value."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, "encoder", skip={"spec"})
    parsed = parser.instantiate(parser.parse_object({"encoder": settings}), instantiate_groups=False)
    return dict(vars(parsed.encoder))
