"""Lazy imports: a package exports names whose modules are imported when they are first used. And quicker ones."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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


@contextmanager
def uncollected() -> Iterator[None]:
    """Put off Python's search for cycles of objects inside the block, in which a great many are made that stay: where
    PyTorch is imported it takes a fifth of the time, and with a million objects of thousands of runs much more."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
