"""jsonargparse's messages, nested and several lines long, as one sentence that names the key."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Iterable

from lab.config.imports import import_class
from lab.errors import ConfigError, nearest

_KEY = re.compile(r'Parser key "([^"]+)":')
_UNKNOWN = re.compile(
    r"[Oo]ption '([^']+)' is not accepted|does not accept option '([^']+)'|unrecognized arguments: (.+)"
)
_CLASS = re.compile(r"Expected a dot import path string: (\S+?)\.?(?:\s|$)")
_RESTRICTED = re.compile(r"Not of type (\w+): (\S+) does not conform to restriction (.+?)(?:\.\s|$)", re.MULTILINE)
_NOT_NUMBER = re.compile(
    r"Not of type (\w+): (?:invalid literal for int\(\) with base 10|could not convert string to float): "
    r"(.+?)(?:\.\s|$)",
    re.MULTILINE,
)
_TYPE = re.compile(r"Expected an? <class '([\w.]+)'>\. Got value: (.+?)(?:\. Got value|$)", re.MULTILINE)
_CHOICE = re.compile(r"Expected an? typing\.Literal(\[.+?\])\. Got value: (.+?)(?:\. Got value|$)", re.MULTILINE)
_UNION = re.compile(r"Subtypes: [\[(]([^\n]+)[\])]\n(?:(?!Subtypes)[\s\S])*?Given value: (.+?)(?:\. Got value|\n|$)")
_GROUP = re.compile(r"Unable to load config '(.+?)'")
_NOT_THERE = re.compile(r"callable class: (?:module|cannot import|No module)[\s\S]*?(?:Got|Given) value: ([\w.]*\w)")
_NO_SUBCLASS = re.compile(r"Expected '([\w.]+)' to be a subclass of (?:<class ')?([\w.]+)")
_UNTYPED = re.compile(r"Parameter '(\w+)' from '([\w.]+)\.__init__' does not specify a type")
_MISSING = re.compile(r'Key "([^"]+)" is required|arguments are required: (\w+)')
_OTHER_KIND = re.compile(
    r"[^\n]*Expected '([\w.]+)' to be a subclass[^\n]*\n(?=[\s\S]*Problem with given class_path '\1')"
)
_NAMED = re.compile(r"class_path[ =]'([\w.]+)'")


def explain(message: str, top_keys: Iterable[str], known_keys: Iterable[str]) -> str:
    """Return one sentence for a parser's message: the key, what was expected, what was received, the nearest name.

    `top_keys` may begin a dotted name, `known_keys` may stand in any place of one.
    """
    message = _OTHER_KIND.sub("", message)  # of two alternatives, the one whose kind the class is of has the reason
    key = _key(message)
    if match := _UNKNOWN.search(message):
        name = next(group for group in match.groups() if group)
        name = name.split()[0].lstrip("-").split("=")[0]
        hint = _nearest_key(_join(key, name), top_keys, {*known_keys, *_parameters(message)})
        return f"unknown key {_join(key, name)!r}{hint}"
    if (match := _GROUP.search(message)) and not _UNION.search(message):
        return f"{key} must be a group of settings ({key}.name=value), received {match[1]}"
    if (match := _UNION.search(message)) and not re.search("Callable|NestedArg", match[0]):
        types = re.sub(r"<class '([\w.]+)'>", r"\1", match[1]).replace("NoneType", "null")
        names = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", types).replace(", ", " or ")
        return f"{key} must be of type {names}, received {match[2]}"
    if match := _NOT_THERE.search(message):
        try:
            import_class(match[1], key)
        except ConfigError as error:
            return str(error)
    if match := _NO_SUBCLASS.search(message):
        return f"{key} must be a subclass of {match[2]}, received {match[1]}"
    if match := _UNTYPED.search(message):
        return f"{key}: the constructor of {match[2]} must give its parameter {match[1]!r} a type"
    if match := _CLASS.search(message):
        return f"{key}: unknown class {match[1]!r}{nearest(match[1], _class_names())}"
    if match := _RESTRICTED.search(message):
        bounds = re.sub(r"v([<>]=?)", r"\1 ", match[3])
        return f"{key} must be {bounds}, received {match[2]}"
    if match := _NOT_NUMBER.search(message):
        return f"{key} must be a number ({match[1]}), received {match[2]}"
    if match := _CHOICE.search(message):
        return f"{key} must be one of {match[1].strip('[]')}, received {match[2]}"
    if match := _TYPE.search(message):
        return f"{key} must be of type {match[1]}, received {match[2]}"
    if match := _MISSING.search(message):
        return f"{_join(key, match[1] or match[2])} is missing"
    return " ".join(message.split())


def _key(message: str) -> str:
    """Join the nested keys; alternatives of a union repeat a key at the same depth, and the first one counts."""
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
    """Hint for a dotted name of which one part is slightly wrong; it repeats the right parts."""
    parts = name.split(".")
    for i, part in enumerate(parts):
        candidates = set(known_keys if i else top_keys)
        if part not in candidates:
            match = difflib.get_close_matches(part, candidates, n=1)
            return f"; did you mean {'.'.join([*parts[:i], *match, *parts[i + 1 :]])!r}?" if match else ""
    return ""


def _parameters(message: str) -> set[str]:
    """Names of the settings of the classes that a message names."""
    classes = [import_class(name, "") for name in _NAMED.findall(message)]
    return {name for cls in classes if isinstance(cls, type) for name in inspect.signature(cls).parameters}


def _class_names() -> set[str]:
    """Names of all classes in the packages that configs draw from, as far as they are imported."""
    packages = ("lab", "agents", "generative", "supervised", "torch.optim")
    modules = [m for name, m in list(sys.modules.items()) if name.startswith(packages) and m is not None]
    return {name for module in modules for name, value in vars(module).items() if isinstance(value, type)}
