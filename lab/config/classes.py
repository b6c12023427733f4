"""The classes that configs and overrides name: found in plain values, checked, the types of their settings, and what
their docstrings say of these."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from itertools import zip_longest
from types import ModuleType
from typing import Any, get_args, get_type_hints

import yaml

from lab.config.imports import import_class, present_name
from lab.config.values import read_word, unmarked
from lab.errors import ConfigError, nearest

HEADING = re.compile(r"^(Args|Arguments|Parameters|Attributes):\s*$")
ENTRY = re.compile(r"^\*{0,2}(\w+)(?: *\(.*?\))?: *(.*)$")


def named_classes(values: Any, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (dotted key, the mapping with its `class_path`) for every class that `values` names."""
    if isinstance(values, dict):
        if isinstance(values.get("class_path"), str):
            yield key, values
        for name, value in values.items():
            yield from named_classes(value, inside(key, name))
    elif isinstance(values, list):
        for value in values:
            yield from named_classes(value, key)


def overridden(words: Sequence[str], *, marked: bool = False) -> dict[str, Any]:
    """Return dotted key -> value of the overrides among command-line words: `--a.b=value`, or `--a.b value`.

    With `marked`, the key of one that adds to a list, `--a.b+=value`, keeps its `+`.
    """
    found = {}
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            try:
                key = name[2:] if marked else name[2:].removesuffix("+")
                found[key] = unmarked(read_word(value if equals else following))
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


def known_keys(owners: Iterable[type], values: dict[str, Any]) -> set[str]:
    """Return the names of all settings of classes, and of the classes that `values` names, to find the nearest one."""
    classes = [*owners, *(import_class(one["class_path"], key) for key, one in named_classes(values))]
    known: set[str] = set()
    while classes:
        one = classes.pop()
        if not isinstance(one, type):
            continue
        known |= set(inspect.signature(one).parameters)
        nested = [part for parts in types_of(one).values() for part in parts]
        classes += [part for part in nested if isinstance(part, type) and is_dataclass(part)]
    return known


def types_of(cls: Any) -> dict[str, tuple[Any, ...]]:
    """Return the types of a class's settings, also those inside `X | None`; empty if they are imported for type
    checkers only."""
    try:
        hints = get_type_hints(cls if is_dataclass(cls) else getattr(cls, "__init__", cls))
    except (NameError, TypeError):
        return {}
    return {name: (hint, *get_args(hint)) for name, hint in hints.items()}


def takes_anything(owner: Any, values: Any, key: str) -> bool:
    """Whether the setting of that dotted key takes values of any type, as those in `env.kwargs` do.

    Args:
        owner: class with the setting.
        values: a config of that class.
    """
    for part in key.split("."):
        if isinstance(values, Mapping) and isinstance(values.get("class_path"), str):
            owner, values = import_class(values["class_path"], key), values.get("init_args")
        types = types_of(owner).get(part, ())
        if any(one in (Any, object, dict, list) for one in types):
            return True
        owner = next(filter(is_dataclass, types), None)
        values = values.get(part) if isinstance(values, Mapping) else None
    return False


def inside(key: str, name: str) -> str:
    """Return the dotted key of `name` inside `key`, as the command line has it: without `init_args`."""
    return key if name == "init_args" else f"{key}.{name}".lstrip(".")


def described(cls: Any) -> dict[str, str]:
    """Return parameter -> its text in the section `Args:` of the class or its constructor, those of base classes
    included. Line breaks become spaces."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        texts = (vars(base).get("__doc__"), getattr(vars(base).get("__init__"), "__doc__", None))
        for text in texts:
            if isinstance(text, str):
                found |= dict(_entries(inspect.cleandoc(text)))
    return found


def first_sentence(cls: Any) -> str:
    """Return the first paragraph of a class's own docstring on one line; empty where it has none."""
    text = inspect.cleandoc(vars(cls).get("__doc__") or "")
    return " ".join(text.partition("\n\n")[0].split())


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Yield (parameter, text) of the section `Args:` of a docstring in Google's style."""
    lines = iter(text.splitlines())
    for line in lines:
        if HEADING.match(line):
            break
    name, said, depth = "", "", None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line.strip() and indent == 0:
            break  # the section has ended
        depth = indent if depth is None and line.strip() else depth
        match = ENTRY.match(line.strip()) if indent == depth else None
        if match:
            if name:
                yield name, said
            name, said = match[1], match[2]
        elif line.strip():
            said = f"{said} {line.strip()}".strip()
    if name:
        yield name, said
