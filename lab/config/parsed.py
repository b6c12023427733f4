"""What the parser's values hold: the names of settings, and the classes that overrides replaced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonargparse import Namespace

from lab.config.classes import inside


def dotted(values: Namespace, key: str = "") -> Iterator[str]:
    """Yield the dotted names of all settings, as the command line has them."""
    for name, value in vars(values).items():
        place = inside(key, name)
        if not isinstance(value, Namespace) or "class_path" in value:
            yield place
        inner = value.get("init_args") if isinstance(value, Namespace) and "class_path" in value else value
        if isinstance(inner, Namespace):
            yield from dotted(inner, place)


def replaced_classes(
    before: Any, after: Any, place: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield (place, short name of the old class, path of the new class) for each class that overrides replaced."""
    if not (isinstance(before, Namespace) and isinstance(after, Namespace)):
        return
    old, new = before.get("class_path"), after.get("class_path")
    if old and new and old != new:
        yield place, old.rpartition(".")[2], new
        return
    for name in vars(before):
        yield from replaced_classes(before[name], after.get(name), (*place, name))


def replace_class(values: dict[str, Any], place: tuple[str, ...], class_path: str) -> list[str]:
    """Put `class_path` without settings at `place` of a config; return the names of the settings that were there."""
    for part in place[:-1]:
        values = values.setdefault(part, {})
    before = values.get(place[-1]) or {}
    values[place[-1]] = {"class_path": class_path}
    return list(before.get("init_args") or {})
