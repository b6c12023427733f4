"""Values of settings keep their type: from YAML, the command line and Python to the classes, and back to `config.yaml`.

Imports nothing heavy, so that `lab list` is quick.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import partial
from os import PathLike, fspath
from typing import Any

import yaml

from lab.errors import ConfigError

try:
    from yaml import CSafeDumper as SafeDumper
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML built without libyaml: ten times slower, otherwise the same
    from yaml import SafeDumper, SafeLoader  # type: ignore[assignment]

FLOAT = re.compile(
    r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
"""What is a number with a fraction, as in YAML 1.2: PyYAML takes 1e6 for a text."""


LONGEST_NUMBER = 10_000
"""Characters of a whole number. In base 60 (`1:30`, of YAML 1.1) reading it takes the square of its length."""


class Text(str):
    """A text that would be read as something else: `off`, `10`. jsonargparse reads any other text once more where a
    setting takes anything, as inside `env.kwargs`."""

    __slots__ = ()


class Loader(SafeLoader):
    """Reads YAML files: 1e6 is a number, dates are texts, and no key stands twice."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.checked: set[yaml.Node] = set()

    def flatten_mapping(self, node: Any) -> None:
        """Replace the merge key `<<` by what it merges, in which a key may well stand again."""
        seen: set[Any] = set()
        for key, _ in () if node in self.checked else node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r} stands there a second time", key.start_mark
                    )
                seen.add((key.tag, key.value))
        self.checked.add(node)
        super().flatten_mapping(node)

    def construct_yaml_int(self, node: Any) -> int:
        if len(node.value) > LONGEST_NUMBER:
            raise yaml.constructor.ConstructorError(
                None, None, f"there is a number of {len(node.value):,} characters", node.start_mark
            )
        return int(super().construct_yaml_int(node))


class Words(Loader):
    """Reads values on the command line. `None` is null there: W&B's agents write Python's words."""


class Dumper(SafeDumper):
    """Writes YAML that every reader takes for the same values."""


OTHER = ("&", "*", "!", "|", ">", "%", "@", "`", "---", "...")
"""Begin what is no plain value in YAML."""


def _resolve(cls: Any, tag: str, pattern: re.Pattern[str], first: str) -> None:
    cls.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", pattern, list(first))


Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)  # Words inherits it
for kind in (Loader, Words, Dumper):
    _resolve(kind, "float", FLOAT, "-+0123456789.")
for kind in (Words, Dumper):
    _resolve(kind, "null", re.compile("^None$"), "N")
for kind in (Loader, Words):
    for first, found in kind.yaml_implicit_resolvers.items():
        kind.yaml_implicit_resolvers[first] = [one for one in found if not one[0].endswith(":timestamp")]


def dump(values: Any, *, width: int | None = None, flow: bool = False) -> str:
    """Return plain values as YAML. Unlike PyYAML's own, it quotes every text that this module would read otherwise."""
    text: str = yaml.dump(
        values, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=width, default_flow_style=flow
    )
    return text


def word(value: Any) -> str:
    """Return a plain value as a word for the command line."""
    return dump(value, width=2**31 - 1, flow=True).removesuffix("\n").removesuffix("\n...")


def _read(text: str) -> Any:
    """Return the value of a text. Raises ConfigError for one that no YAML can hold."""
    return yaml.load(utf8(text), Loader=Words)  # noqa: S506  # a SafeLoader


def utf8(text: str, key: str = "") -> str:
    """Return a text. Raises ConfigError where it stands for bytes that are not UTF-8, as a file's name may have: no
    config can hold them."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"{key and f'{key}: '}expected text in UTF-8, received {text!r}") from error
    return text


def read_word(text: str) -> Any:
    """Return the value of a word on the command line; texts in it that are to stay texts are `Text`s. Nobody writes
    comments, anchors or tags there: `#ff0000` is a text."""
    begin = text.lstrip()
    if begin.startswith(OTHER) or ("#" in begin and not begin.startswith(("'", '"', "[", "{"))):
        return text
    value = _read(text)
    if (
        isinstance(value, dict)
        and value
        and not any(one is not None for one in value.values())
        and ":" not in text[:-1]
    ):
        return text  # {a, b} and `a:` are texts
    return Text(value) if isinstance(value, str) and value != text else marked(value)  # it stood in quotes


def marked(value: Any) -> Any:
    """Return plain values in which every text that would be read as something else is a `Text`."""
    if isinstance(value, dict):
        return {key: marked(one) for key, one in value.items()}
    if isinstance(value, list):
        return [marked(one) for one in value]
    if isinstance(value, str):
        try:
            return value if _read(value) == value else Text(value)
        except yaml.YAMLError:
            return value
    return value


def unmarked(value: Any) -> Any:
    """Return the value with plain texts in place of `Text`s, also in dataclasses and partial functions."""
    if isinstance(value, Text):
        return str(value)
    if type(value) in (list, tuple):
        return type(value)(map(unmarked, value))
    if type(value) is dict:
        return {key: unmarked(one) for key, one in value.items()}
    if type(value) is partial:
        return partial(value.func, *map(unmarked, value.args), **unmarked(value.keywords))
    if is_dataclass(value) and not isinstance(value, type):
        inner = {one.name: getattr(value, one.name) for one in fields(value) if one.init}
        new = {name: unmarked(one) for name, one in inner.items()}
        return replace(value, **new) if any(new[name] is not inner[name] for name in new) else value
    return value


def plain(value: Any, key: str) -> Any:
    """Return what Python gave as a setting as plain values: classes by their name, arrays as lists.

    Raises ConfigError, with the key, for what no config can hold.
    """
    if isinstance(value, str):
        return utf8(value, key)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, PathLike):
        return str(fspath(value))
    if type(value).__module__ == "torch" and type(value).__name__ in ("device", "dtype"):
        return str(value).removeprefix("torch.")
    if isinstance(value, partial) and isinstance(value.func, type) and not value.args:
        return {"class_path": plain(value.func, key), "init_args": plain(value.keywords, key)}
    if is_dataclass(value):
        return {one.name: plain(getattr(value, one.name), f"{key}.{one.name}") for one in fields(value) if one.init}
    if hasattr(value, "tolist"):  # of NumPy or torch
        return plain(value.tolist(), key)
    if isinstance(value, Mapping):
        return {_key(name, key): plain(one, f"{key}.{name}") for name, one in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(one, key) for one in value]
    raise ConfigError(
        f"{key} must be made of numbers, texts, truth values, None, lists and dicts of them, or name a class; received "
        f"a {type(value).__name__}"
    )


def require_plain(value: Any, where: object, key: str = "", seen: set[int] | None = None) -> None:
    """Raise ConfigError, with the key, where a file holds what no config can: binary data, sets, odd keys."""
    seen = set() if seen is None else seen
    if isinstance(value, dict | list):
        if id(value) in seen:  # aliases may stand for more than there is memory for
            return
        seen.add(id(value))
    if isinstance(value, dict):
        for name, one in value.items():
            require_plain(one, where, f"{key}.{_key(name, key)}".lstrip("."), seen)
    elif isinstance(value, list):
        for one in value:
            require_plain(one, where, key, seen)
    elif not (value is None or isinstance(value, bool | int | float | str)):
        raise ConfigError(f"{key} in {where} is {type(value).__name__}, which no setting can be; put it in quotes")


def _key(name: Any, key: str) -> Any:
    name = name.item() if hasattr(name, "item") else name
    if not isinstance(name, str | int | float):
        raise ConfigError(f"the keys in {key or 'a config'} must be texts or numbers, received {name!r}")
    return utf8(name, key) if isinstance(name, str) else name
