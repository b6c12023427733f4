"""What somebody else's config may say: no class off the list, and no path outside his folder of runs.

The types of the settings tell which of them name classes, paths and artifacts. A class may know more about its own
settings: its `foreign(settings)`, if it has one, yields (setting, what is wrong with it) as the end of a sentence.
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from lab.config.classes import inside, types_of
from lab.config.imports import import_class
from lab.config.types import DataPath, FromRun
from lab.system.files import is_name
from lab.trust.classes import refused
from lab.trust.variables import VARIABLE

FILES = (".yaml", ".yml")
PLAIN = (str, int, float, complex, bool)

Found = Iterator[tuple[str, str]]
"""Dotted names of settings, with what is wrong with each as the end of a sentence."""


def wrong_settings(cls: type, settings: Mapping[str, Any], places: Sequence[Path], key: str = "") -> Found:
    """Yield what somebody else's config may not say.

    Args:
        cls: class or dataclass that the settings belong to.
        settings: plain values, as in a config file.
        places: folders below which an artifact may lie: those of the run and of all its runs.
        key: dotted name of the class; empty for the experiment.
    """
    if "class_path" in settings:
        yield key, "names a class among the settings of another"
        return
    hints = {name: found[0] for name, found in types_of(cls).items()}
    for name, value in settings.items():
        yield from _wrong(value, _alternatives(hints.get(name, Any)), inside(key, str(name)), places)
    told = getattr(cls, "foreign", None)
    if told is not None:
        yield from ((inside(key, name), what) for name, what in told(settings))


def _wrong(value: Any, hints: Sequence[Any], key: str, places: Sequence[Path]) -> Found:
    if isinstance(value, Mapping):
        yield from _wrong_mapping(value, hints, key, places)
    elif isinstance(value, list | tuple):
        inner = [one for hint in hints for one in _members(hint)]
        for one in value:
            yield from _wrong(one, inner or [Any], key, places)
    elif isinstance(value, str):
        if VARIABLE.search(value):
            yield key, f"names a variable of your environment in {value!r}"
        elif FromRun in hints:
            if not _is_inside(value, places):
                yield key, f"is {value}, which lies outside its folder of runs"
        elif DataPath in hints:
            yield key, f"is the path {value}; --{key}=PATH names yours"
        elif Any in hints:
            if looks_like_path(value):
                yield key, f"is {value!r}, which may be a path"
        elif not any(_is_plain(hint) for hint in hints):
            yield key, f"must be written out, received {value!r}"


def _wrong_mapping(value: Mapping[str, Any], hints: Sequence[Any], key: str, places: Sequence[Path]) -> Found:
    if "class_path" in value:
        named = value["class_path"]
        if why := refused(named) if isinstance(named, str) else f"names the class {named!r}":
            yield key, why
        elif more := value.keys() - {"class_path", "init_args"}:
            yield key, f"has {sorted(map(str, more))[0]!r} beside its class and the settings of that"
        else:
            settings = value.get("init_args") or {}
            if isinstance(settings, Mapping):
                yield from wrong_settings(import_class(named, key), settings, places, key)
            else:
                yield f"{key}.init_args", f"must be written out, received {settings!r}"
        return
    if FromRun in hints and not all(is_name(str(one)) and Path(str(one)).suffix not in FILES for one in value.values()):
        yield key, f"is an artifact of {value.get('run')}, which is no name or id of a run"
        return
    if (owner := next((one for one in hints if isinstance(one, type) and is_dataclass(one)), None)) is not None:
        yield from wrong_settings(owner, value, places, key)
        return
    inner = [one for hint in hints for one in _members(hint)]
    for name, one in value.items():
        yield from _wrong(one, inner or [Any], inside(key, str(name)), places)


def looks_like_path(text: str) -> bool:
    """Whether a text names, or may be expanded to, a file that is not merely a name."""
    return any(mark in text for mark in ("/", "\\", "\0", "$")) or text.startswith(("~", "."))


def _is_inside(path: str, places: Sequence[Path]) -> bool:
    """Whether a path lies below one of the places, as far as its text tells; a relative one must not lead upwards."""
    if not os.path.isabs(path):
        return not path.startswith("~") and ".." not in Path(path).parts
    return any(Path(os.path.normpath(path)).is_relative_to(place) for place in places)


def _alternatives(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        return [one for part in get_args(hint) for one in _alternatives(part)]
    return [hint]


def _members(hint: Any) -> list[Any]:
    """Return the types of the elements of a list, or of the values of a dict."""
    origin, inner = get_origin(hint), get_args(hint)
    if not (inner and isinstance(origin, type) and issubclass(origin, Iterable)):
        return []
    if issubclass(origin, Mapping):
        return _alternatives(inner[-1])
    return [one for part in inner if part is not Ellipsis for one in _alternatives(part)]


def _is_plain(hint: Any) -> bool:
    """Whether values of a type are read from a text as what it says."""
    if isinstance(hint, type):
        return issubclass(hint, PLAIN) or hint.__module__.partition(".")[0] == "numpy"
    return get_origin(hint) is not None and not isinstance(get_origin(hint), type)  # Literal
