"""Small versions of the shipped experiments. Each room of the tests knows how to make its own part small."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from lab.config.files import read
from lab.config.shipped import shipped

TESTS = Path(__file__).parents[1]
ROOMS = sorted(path.parent.name for path in TESTS.glob("*/small.py") if path.parent != Path(__file__).parent)


CONFIGS = shipped()


@cache
def config(name: str) -> dict[str, Any]:
    """Return what the YAML of an experiment says. Nobody may change it."""
    return read(CONFIGS[name])


def small(name: str) -> dict[str, Any]:
    """Return overrides with which an experiment needs no download and few seconds. The classes in it stay."""
    overrides: dict[str, Any] = {}
    for room in ROOMS:
        overrides |= import_module(f"tests.{room}.small").small(config(name))
    return overrides


def kind(name: str) -> tuple[str, ...]:
    """The classes that make an experiment what it is: that of the experiment, those directly in it, and encoders."""
    inner = (path for key, path in classes(config(name)) if "." not in key or key.endswith(".encoder"))
    return (str(config(name).get("experiment")), *inner)


def classes(values: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted key, class path) for every class that a config names."""
    if isinstance(values, Mapping):
        if "class_path" in values:
            yield key, values["class_path"]
        for name, value in values.items():
            yield from classes(value, key if name == "init_args" else f"{key}.{name}".lstrip("."))


def one_of_each_kind() -> list[str]:
    """Return few experiments in which every class of `kind` occurs: first those with most classes that are new, among
    them those that need the fewest overrides to be small."""
    classes_of = {name: set(kind(name)) for name in CONFIGS}
    overrides = {name: len(small(name)) for name in CONFIGS}
    chosen: list[str] = []
    while new := set().union(*classes_of.values()):
        most = max(classes_of, key=lambda name: (len(classes_of[name] & new), -overrides[name], name))
        chosen.append(most)
        taken = classes_of.pop(most)
        classes_of = {name: found - taken for name, found in classes_of.items()}
    return sorted(chosen)
