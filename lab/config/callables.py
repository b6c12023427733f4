"""A setting names a class, never something else that can be called: it would be called with values of the config."""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType
from typing import Any

from jsonargparse import Namespace

from lab.config.classes import inside
from lab.errors import ConfigError


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
