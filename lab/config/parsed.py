"""How jsonargparse reads settings, and what its values hold: plain settings, their names, replaced classes, and nothing
that can be called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np
import yaml
from jsonargparse import Namespace, set_loader
from jsonargparse.typing import register_type

from lab.config.classes import inside, types_of
from lab.config.parser import PLAIN, once
from lab.config.values import Text, marked, plain, read_word
from lab.errors import ConfigError

MODE = "lab"
"""Name of the lab's way to read words on the command line, for jsonargparse's `parser_mode`."""

FILE = "{the: file}"
"""The word that stands for the values of the config file, which are taken as they are."""


def register() -> None:
    """Make `MODE`, `Text`, and NumPy's numbers and arrays known to jsonargparse: Gymnasium's wrappers declare some of
    their settings as these."""
    set_loader(MODE, read_word, (yaml.YAMLError,))
    register_type(Text, serializer=str, deserializer=Text, fail_already_registered=False)
    for kind, read in ((np.floating, np.float32), (np.integer, np.int64), (np.ndarray, _array)):
        register_type(kind, serializer=_plain_array, deserializer=read, fail_already_registered=False)


@contextmanager
def reading(values: dict[str, Any]) -> Iterator[None]:
    """Inside the block, jsonargparse reads `FILE` as these values, and everything else as a word."""
    texts: dict[str, str] = {}

    def read(text: str) -> Any:
        if text in texts:
            return texts[text]
        value = marked(values) if text == FILE else read_word(text)
        if type(value) is str:  # most texts stay as they are, and each is read again and again
            texts[text] = value
        return value

    set_loader(MODE, read, (yaml.YAMLError,))
    try:
        with once():
            yield
    finally:
        set_loader(MODE, read_word, (yaml.YAMLError,))


def settings(parsed: Any) -> Any:
    """Return parsed settings as the values that YAML has. Reading them gives the same."""
    if isinstance(parsed, Namespace | dict):
        items = vars(parsed).items() if isinstance(parsed, Namespace) else parsed.items()
        return {key: settings(one) for key, one in items}
    if isinstance(parsed, list | tuple | set):
        return [settings(one) for one in parsed]
    if isinstance(parsed, np.ndarray | np.generic):
        return _plain_array(parsed)
    for kind in PLAIN:
        if isinstance(parsed, kind):
            return kind(parsed)
    return plain(parsed, "a setting")


def _array(value: Any) -> np.ndarray[Any, Any]:
    """Read a number or nested lists of numbers. Real numbers become float32, as the spaces of Gymnasium have them."""
    read = np.asarray(value)
    if read.dtype.kind not in "biuf":
        raise ValueError(f"expected a number or a list of numbers, received {value!r}")
    return read.astype(np.float32) if read.dtype.kind == "f" else read


def _plain_array(value: Any) -> Any:
    if np.ndim(value):
        return [_plain_array(one) for one in value]
    return float(str(value)) if np.issubdtype(type(value), np.floating) else int(value)  # 0.1 stays 0.1


def dotted(values: Namespace, key: str = "") -> Iterator[str]:
    """Yield the dotted names of all settings, as the command line has them."""
    for name, value in vars(values).items():
        place = inside(key, name)
        if not isinstance(value, Namespace) or "class_path" in value:
            yield place
        inner = value.get("init_args") if isinstance(value, Namespace) and "class_path" in value else value
        if isinstance(inner, Namespace):
            yield from dotted(inner, place)


def replace_classes(values: dict[str, Any], before: Namespace, after: Namespace) -> tuple[bool, list[str]]:
    """Put each class that overrides replaced into a config, without settings: jsonargparse would carry over what both
    classes know by name (Adam's weight_decay of 0 into AdamW).

    Args:
        values: the config.
        before: its settings as they were read without the overrides.
        after: the same with them.

    Returns whether there is any, and a note for each that loses settings.
    """
    notes = []
    replaced = list(_replaced(before, after))
    for place, old, new in replaced:
        if lost := _replace(values, place, new):
            key = ".".join(part for part in place if part != "init_args")
            notes.append(
                f"{key} is now {new.rpartition('.')[2]}: the config's {', '.join(lost)} for {old} no longer apply"
            )
    return bool(replaced), notes


def _replaced(before: Any, after: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield (place, short name of the old class, path of the new class) for each class that overrides replaced."""
    if not (isinstance(before, Namespace) and isinstance(after, Namespace)):
        return
    old, new = before.get("class_path"), after.get("class_path")
    if old and new and old != new:
        yield place, old.rpartition(".")[2], new
        return
    for name in vars(before):
        yield from _replaced(before[name], after.get(name), (*place, name))


def _replace(values: dict[str, Any], place: tuple[str, ...], class_path: str) -> list[str]:
    """Put `class_path` without settings at `place` of a config; return the names of the settings that were there."""
    for part in place[:-1]:
        values = values.setdefault(part, {})
    before = values.get(place[-1]) or {}
    values[place[-1]] = {"class_path": class_path}
    return list(before.get("init_args") or {})


def require_groups(cls: type, parsed: Namespace) -> None:
    """Raise ConfigError where a setting that has settings of its own is a number or a text: the parser lets it pass."""
    for name, hints in types_of(cls).items():
        value = parsed.get(name)
        if is_dataclass(hints[0]) and not isinstance(value, Namespace | dict):
            raise ConfigError(f"{name} must hold settings, received {value!r}")


def refuse_callables(value: Any, key: str = "") -> None:
    """Raise ConfigError where a parsed setting can be called and is no class, whoever wrote it."""
    if callable(value) and not isinstance(value, type | Namespace):
        is_function = isinstance(value, FunctionType | BuiltinFunctionType)
        kind, named = ("function", value) if is_function else ("object of class", type(value))
        raise ConfigError(f"{key} must name a class, received the {kind} {named.__module__}.{named.__qualname__}")
    if isinstance(value, Namespace | dict):
        for name, inner in vars(value).items() if isinstance(value, Namespace) else value.items():
            refuse_callables(inner, inside(key, name))
    elif isinstance(value, list | tuple):
        for inner in value:
            refuse_callables(inner, key)
