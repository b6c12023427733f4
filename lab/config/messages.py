"""Turns jsonargparse's messages, which are nested and several lines long, into one sentence that names the key.

Its exceptions have no attributes, and it raises ArgumentError, TypeError and ValueError for everything: the expected
type, the unknown key and the missing one stand in the message alone, so patterns find them (jsonargparse 4.53). Numbers
are our own types (`lab.config.types`), class paths are checked by us (`lab.config.classes`), and need no pattern.
"""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from lab.config.classes import require_class
from lab.config.files import setting
from lab.config.imports import import_class
from lab.config.shipped import families
from lab.config.types import BadNumberError
from lab.errors import ConfigError, nearest

_KEY = re.compile(r'Parser key "([^"]+)":')
_UNKNOWN = re.compile(
    r"[Oo]ption '([^']+)' is not accepted|does not accept option '([^']+)'|unrecognized arguments: (.+)"
)
_CLASS = re.compile(r"Expected a dot import path string: (\S+?)\.?(?:\s|$)")
_TYPE = re.compile(r"Expected an? <class '([\w.]+)'>\. Got value: (.+?)(?:\. Got value|$)", re.MULTILINE)
_CHOICE = re.compile(r"Expected an? typing\.Literal(\[.+?\])\. Got value: (.+?)(?:\. Got value|$)", re.MULTILINE)
_UNION = re.compile(r"Subtypes: [\[(]([^\n]+)[\])]\n(?:(?!Subtypes)[\s\S])*?Given value: (.+?)(?:\. Got value|\n|$)")
_DENIED = re.compile(r"Importing '([\w.]+)' is not allowed")
_NO_SUBCLASS = re.compile(r"Expected '([\w.]+)' to be a subclass of (?:<class ')?([\w.]+)")
_UNTYPED = re.compile(r"Parameter '(\w+)' from '([\w.]+)\.__init__' does not specify a type")
_MISSING = re.compile(r'Key "([^"]+)" is required|arguments are required: (\w+)')
_OTHER_KIND = re.compile(
    r"[^\n]*Expected '([\w.]+)' to be a subclass[^\n]*\n(?=[\s\S]*Problem with given class_path '\1')"
)
_NAMED = re.compile(r"class_path[ =]'([\w.]+)'")

WORDED = {
    "PositiveInt": "a whole number above 0",
    "NonNegativeInt": "a whole number from 0",
    "Count": "a whole number from 1 to 1,000,000",
    "PositiveFloat": "a number above 0",
    "NonNegativeFloat": "a number from 0",
    "Fraction": "a number from 0 to 1",
    "Probability": "a number from 0 to below 1",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "list[PositiveInt]": "a list of such numbers",
    "Sequence[PositiveInt]": "a list of whole numbers above 0",
    "Sequence[str]": "a list of texts",
    "list[str]": "a list of texts",
    "DataPath": "the path of a file or folder",
}
"""Types of settings in words."""
TEXTS = {"Sequence[str]", "list[str]"}
MOST = 20  # classes that are listed where none is near


def explain(
    error: BaseException,
    top_keys: Iterable[str],
    known_keys: Iterable[str],
    given: Mapping[str, Any],
    classes_for: Callable[[str], Sequence[str]] = lambda key: (),
) -> str:
    """Return one sentence for a parser's error: the key, what was expected, what was received, the nearest name.

    Args:
        error: as jsonargparse raised it. Its classes say little: most of what is known stands in the message alone.
        top_keys: names that a dotted name may begin with.
        known_keys: names that may stand in any place of one.
        given: the values that were parsed, nested or by dotted names.
        classes_for: returns the names of classes that may stand at a key.
    """
    message = _OTHER_KIND.sub("", str(error))  # of two alternatives, the one whose kind the class is of has the reason
    key = _key(message)
    value = given[key] if key in given else setting(given, key)
    if match := _UNKNOWN.search(message):
        name = next(group for group in match.groups() if group)
        name = name.split()[0].lstrip("-").split("=")[0]
        hint = _nearest_key(_join(key, name), top_keys, {*known_keys, *_parameters(message)})
        return f"unknown key {_join(key, name)!r}{hint}"
    if "Unable to load config" in message and not _UNION.search(message):
        return f"{key} must be a group of settings ({key}.name=value), received {value}"
    if (match := _UNION.search(message)) and not re.search("Callable|NestedArg", match[0]):
        types = re.sub(r"<class '([\w.]+)'>", r"\1", match[1]).replace("NoneType", "null")
        names = [re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", one) for one in types.split(", ")]
        list_hint = f"; write [{match[2]}] for a list of one" if set(names) & TEXTS and "[" not in match[2] else ""
        return f"{key} must be {' or '.join(WORDED.get(one, one) for one in names)}, received {match[2]}{list_hint}"
    if "callable class" in message:  # that is, a class was expected
        try:
            for name in value if isinstance(value, list) else [value]:
                if isinstance(name, str):
                    require_class(name, key)
        except ConfigError as reason:
            return str(reason)
    if match := _DENIED.search(message):
        return f"{key} must not name {match[1]}"
    if match := _NO_SUBCLASS.search(message):
        return f"{key} must be a subclass of {match[2]}, received {match[1]}"
    if match := _UNTYPED.search(message):
        return f"{key}: the constructor of {match[2]} must give its parameter {match[1]!r} a type"
    if match := _CLASS.search(message):
        known = classes_for(key)
        listed = f"; there is {', '.join(known[:MOST])}" if known else ""
        return f"{key}: unknown class {match[1]!r}{nearest(match[1], [*known, *_class_names()]) or listed}"
    if number := next((one for one in _causes(error) if isinstance(one, BadNumberError)), None):
        return f"{key} must be {number.expected}, received {number.received}"
    if match := _CHOICE.search(message):
        return f"{key} must be one of {match[1].strip('[]')}, received {match[2]}"
    if match := _TYPE.search(message):
        return f"{key} must be of type {match[1]}, received {match[2]}"
    if match := _MISSING.search(message):
        return f"{_join(key, match[1] or match[2])} is missing"
    return " ".join(message.split())


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and those that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _key(message: str) -> str:
    """Join the nested keys. The alternatives of a union repeat a key at the same depth; the first one counts."""
    path = ""
    depth = -1
    for line in message.splitlines():
        indent = len(line) - len(line.lstrip())
        for match in _KEY.finditer(line):
            if indent <= depth and path:
                return path
            path, depth = _join(path, match[1]), indent
    return path


def _join(path: str, name: str) -> str:
    return name if not path or f"{name}.".startswith(f"{path}.") else f"{path}.{name}"


def _nearest_key(name: str, top_keys: Iterable[str], known_keys: Iterable[str]) -> str:
    """Return a hint for a dotted name with a mistake in one part: the whole name, corrected."""
    parts = name.split(".")
    for i, part in enumerate(parts):
        candidates = set(known_keys if i else top_keys)
        if part not in candidates:
            match = difflib.get_close_matches(part, candidates, n=1)
            return f"; did you mean {'.'.join([*parts[:i], *match, *parts[i + 1 :]])!r}?" if match else ""
    return ""


def _parameters(message: str) -> set[str]:
    """Names of the settings of the classes that a message names."""
    found: set[str] = set()
    for name in _NAMED.findall(message):
        if isinstance(cls := import_class(name, ""), type):
            with suppress(ValueError):  # torch.Tensor has no signature
                found |= set(inspect.signature(cls).parameters)
    return found


def _class_names() -> set[str]:
    """Return the names of all imported classes in the packages that configs draw from."""
    packages = ("lab", *families(), "torch.optim")
    modules = [m for name, m in list(sys.modules.items()) if name.startswith(packages) and m is not None]
    return {name for module in modules for name, value in vars(module).items() if isinstance(value, type)}
