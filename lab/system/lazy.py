"""Lazy imports: a package exports names whose modules are imported when they are first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any


def lazily(package: str, places: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package (PEP 562).

    Args:
        package: its name.
        places: exported name -> the module that defines it.
    """

    def get(name: str) -> Any:
        if name in places:
            return getattr(importlib.import_module(places[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names() -> list[str]:
        there = vars(sys.modules[package])  # without what the file itself imports
        own = (name for name, value in there.items() if name.startswith("__") or isinstance(value, ModuleType))
        return sorted({*places, *own})

    return get, names
