"""An encoder as two files, `encoder.safetensors` and `encoder.json`, which every family of experiments can load.

Loading them runs no code from the files: weights are safetensors, and the class is looked up among known ones.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import pkgutil
from argparse import ArgumentError
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from torch import Tensor

from lab.config.imports import import_class, import_from_here, present_name, public_name
from lab.data.spec import InputSpec, Spec
from lab.encoders.base import Encoder, EncoderFactory
from lab.encoders.combined import Combined
from lab.encoders.trained_on import TrainedOn
from lab.errors import CheckpointError, ConfigError, nearest
from lab.runs.artifacts import seal, sealed
from lab.saving.tensors import UNFIT, as_bytes, tensors_in
from lab.system.files import make_folder, write_atomic, write_json
from lab.system.opening import MOST_BYTES, parse_json
from lab.trust.settings import wrong_settings

NETWORKS = Path(__file__).parent / "networks"
WEIGHTS, DESCRIPTION = "encoder.safetensors", "encoder.json"


def plain_state(encoder: Encoder) -> dict[str, Tensor]:
    """Return the weights with parametrizations folded in, as a plain encoder of the same class has them.

    For example, the encoder of a discriminator with spectral norm becomes a plain `Conv` that computes the same
    features.
    """
    frozen = copy.deepcopy(encoder).eval()  # in training mode, spectral norm would take one more power iteration
    state = {name: value for name, value in frozen.state_dict().items() if "parametrizations." not in name}
    for path, module in frozen.named_modules():
        for name in getattr(module, "parametrizations", ()):
            state[f"{path}.{name}".lstrip(".")] = getattr(module, name)
    return {name: value.detach().cpu().contiguous() for name, value in state.items()}


def save_encoder(encoder: Encoder, folder: Path, trained_on: TrainedOn | None = None) -> None:
    """Write `encoder` into `folder`, which is made where it is missing, with what it was trained on where that is
    known. A frozen one was trained on what its file said."""
    make_folder(folder)
    write_atomic(folder / WEIGHTS, as_bytes(plain_state(encoder)))
    description = {"schema": 1, **_plain(encoder), "spec": _plain(encoder.spec), "features_dim": encoder.features_dim}
    learns = any(one.requires_grad for one in encoder.parameters())
    if known := (trained_on if learns else None) or encoder.trained_on or trained_on:
        description["trained_on"] = _plain(known)
    write_json(folder / DESCRIPTION, description)
    seal(folder, None)  # a run seals it anew, as its own


def load_encoder(folder: Path, *, classes: Iterable[type[Encoder]] = ()) -> Encoder:
    """Rebuild the encoder in `folder`, on the CPU and in eval mode.

    Its class and those of the encoders inside it must be the lab's own or in `classes`, so that somebody else's file
    does not choose what is imported; an artifact that is signed as the user's own may name any. Raises CheckpointError
    when the files are missing or do not fit each other, ConfigError for another class.
    """
    known = {public_name(c): c for c in (*_own_classes(), *classes)}
    try:
        artifact = sealed(folder)
        description = parse_json(artifact.read(DESCRIPTION))
        encoder = _factory(description, known, folder, mine=artifact.mine)(_spec(description["spec"]))
        numbers = sum(value.numel() for value in encoder.state_dict().values())
        encoder.load_state_dict(tensors_in(artifact.read(WEIGHTS, most=MOST_BYTES + 8 * numbers)))
        encoder.trained_on = TrainedOn.read(description.get("trained_on"))
    except (*UNFIT, ArgumentError) as error:
        raise CheckpointError(f"no encoder can be loaded from {folder}: {error}") from error
    return encoder.eval()


def _own_classes() -> list[type[Encoder]]:
    """The encoders in the folder `networks`, and Combined."""
    names = [module.name for module in pkgutil.iter_modules([str(NETWORKS)], "lab.encoders.networks.")]
    modules = [importlib.import_module(name) for name in names]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    return [Combined, *(cls for cls in found if issubclass(cls, Encoder) and not cls.__abstractmethods__)]


def _plain(value: Any) -> Any:
    """Return settings as JSON can hold them. An encoder becomes its class and settings."""
    if isinstance(value, Encoder):
        return {"class": public_name(type(value)), "settings": _plain(value.settings)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _spec(plain: dict[str, Any]) -> Spec:
    if isinstance(plain.get("shape"), list):
        return InputSpec(**{**plain, "shape": tuple(plain["shape"])})
    return {key: InputSpec(**{**part, "shape": tuple(part["shape"])}) for key, part in plain.items()}


def _factory(
    description: dict[str, Any], known: dict[str, type[Encoder]], folder: Path, *, mine: bool
) -> EncoderFactory:
    """Return what builds the encoder of a description, given the spec. Descriptions may hold others.

    Args:
        description: of the encoder.
        known: classes that anybody's description may name.
        folder: for messages.
        mine: whether the description is signed as the user's own.
    """
    cls, settings = _class(present_name(description["class"]), known, folder, mine=mine), description["settings"]

    def inner(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if isinstance(value.get("class"), str):
            return _factory(value, known, folder, mine=mine)
        return {key: inner(item) for key, item in value.items()}

    factories = _takes_encoders(cls)
    plain = {key: value for key, value in settings.items() if key not in factories}
    if not mine and (wrong := next(wrong_settings(cls, plain, []), None)):
        raise ConfigError(f"{folder} is not signed as yours, and its {wrong[0]} {wrong[1]}")
    return partial(
        cls, **_typed(cls, plain), **{key: inner(value) for key, value in settings.items() if key in factories}
    )


def _class(name: str, known: dict[str, type[Encoder]], folder: Path, *, mine: bool) -> type[Encoder]:
    if name in known:
        return known[name]
    if not mine:
        raise ConfigError(
            f"{folder} holds a {name}; pass that class in `classes` to load it, or sign the run as yours with "
            f"`lab trust`{nearest(name, known)}"
        )
    import_from_here()
    found = import_class(name, str(folder / DESCRIPTION))
    if not (isinstance(found, type) and issubclass(found, Encoder)):
        raise ConfigError(f"{folder} holds a {name}, which is no Encoder class")
    return found


def _takes_encoders(cls: type[Encoder]) -> set[str]:
    """Return the names of the settings that take encoders: their type has a Callable in it."""

    def mentions(hint: Any) -> bool:
        return (get_origin(hint) or hint) is Callable or any(mentions(part) for part in get_args(hint))

    names: set[str] = set()
    for constructor in (vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base)):
        try:
            names |= {name for name, hint in get_type_hints(constructor).items() if mentions(hint)}
        except NameError:  # a type that is imported for type checkers alone; any setting may be an encoder
            names |= constructor.__annotations__.keys()
    return names


def _typed(cls: type[Encoder], settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings in the types of the class's signature. jsonargparse checks them and rebuilds dataclasses.

    Encoders are left out: jsonargparse would import whatever class the file names.
    """
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, "encoder", skip={"spec", *_takes_encoders(cls)})
    parsed = parser.instantiate(parser.parse_object({"encoder": settings}), instantiate_groups=False)
    group = parsed.get("encoder")  # missing where all settings are encoders
    return dict(vars(group)) if group else {}
