"""The classes that configs and overrides name: found in plain values, and checked before anything is made of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import yaml
from jsonargparse import Namespace

from lab.config.imports import import_class, present_name
from lab.errors import ConfigError, nearest


def named_classes(values: Any, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (dotted key, the mapping with its `class_path`) for every class that `values` names."""
    if isinstance(values, dict):
        if isinstance(values.get("class_path"), str):
            yield key, values
        for name, value in values.items():
            yield from named_classes(value, _inside(key, name))
    elif isinstance(values, list):
        for value in values:
            yield from named_classes(value, key)


def overridden(words: Sequence[str]) -> dict[str, Any]:
    """Return dotted key -> value of the overrides among command-line words: `--a.b=value`, or `--a.b value`."""
    found = {}
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            try:
                found[name[2:].removesuffix("+")] = yaml.safe_load(value if equals else following)
            except yaml.YAMLError:  # the parser takes it as a text, or refuses it
                continue
    return found


def require_given_classes(given: Mapping[str, Any]) -> None:
    """Raise ConfigError where an override names something other than a class by `class_path`."""
    for key, value in given.items():
        owner, _, name = key.rpartition(".")
        if name == "class_path" and isinstance(value, str):
            require_class(value, owner)
        for place, named in named_classes(value, key):
            require_class(named["class_path"], place)


def require_class(class_path: str, key: str) -> None:
    """Raise ConfigError if `class_path` names nothing, or something other than a class. Short names (`Conv`) pass."""
    found = import_class(class_path, key)
    if found is None or isinstance(found, type):
        return
    module, _, name = present_name(class_path).rpartition(".")
    place = found if isinstance(found, ModuleType) else sys.modules[module]
    hint = nearest(name, [name for name, value in vars(place).items() if isinstance(value, type)])
    kind = "function" if callable(found) else type(found).__name__
    raise ConfigError(f"{key} must name a class, received the {kind} {class_path}{hint}")


def refuse_functions(value: Any, key: str = "") -> None:
    """Raise ConfigError where a parsed setting is a function: it would be called with values of the config."""
    if isinstance(value, FunctionType | BuiltinFunctionType):
        raise ConfigError(f"{key} must name a class, received the function {value.__module__}.{value.__qualname__}")
    if isinstance(value, Namespace | dict):
        for name, inner in vars(value).items() if isinstance(value, Namespace) else value.items():
            refuse_functions(inner, _inside(key, name))
    elif isinstance(value, list | tuple):
        for inner in value:
            refuse_functions(inner, key)


def _inside(key: str, name: str) -> str:
    """Return the dotted key of `name` inside `key`, as the command line has it: without `init_args`."""
    return key if name == "init_args" else f"{key}.{name}".lstrip(".")
