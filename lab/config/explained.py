"""What each setting means: its type, its default, its role, and what the docstring of its class says."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lab.config.classes import described, inside
from lab.config.files import read, setting
from lab.config.imports import import_class
from lab.config.roles import Roles
from lab.config.shipped import families, shipped

ROLES = {
    "repeats": "makes repeats of one experiment",
    "budget": "how long to train",
    "stops": "ends training early",
    "watching": "how training is watched",
    "protocol": "how it is measured",
    "episodes": "how it is measured",
    "samples": "how it is measured",
    "task": "the task",
    "indifferent": "no influence on figures",
}
"""What the roles of settings are called for a reader; a setting without one belongs to the method."""

NUMBERS = {
    "PositiveInt": "whole number > 0",
    "NonNegativeInt": "whole number >= 0",
    "Count": "whole number from 1 to 1,000,000",
    "PositiveFloat": "number > 0",
    "NonNegativeFloat": "number >= 0",
    "Fraction": "number from 0 to 1",
    "Probability": "number from 0 to below 1",
    "Seed": "whole number >= 0",
    "DataPath": "path",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "str": "text",
    "NoneType": "null",
    "Tensor": "tensor",
    "floating": "number",
    "integer": "whole number",
    "ndarray": "numbers",
}
"""Types of settings by their names in code, as a reader knows them."""

VALUES = (str, int, float, complex, Mapping)
"""Types of settings that are values, not classes."""

REQUIRED = inspect.Parameter.empty
"""The default of a setting that has none."""


@dataclass(frozen=True)
class Setting:
    """One setting, explained.

    Args:
        key: its dotted name, as the command line takes it.
        value: in the config; a class by its path.
        default: of the constructor; `REQUIRED` where there is none.
        type: what may be given, in words.
        role: what it does beside the method, as in `ROLES`; empty where it belongs to the method.
        text: of the docstring; empty where it says nothing.
    """

    key: str
    value: Any
    default: Any
    type: str
    role: str
    text: str


def explained(cls: type, values: Mapping[str, Any], roles: Roles, key: str = "", asked: str = "") -> Iterator[Setting]:
    """Yield the settings of a class that `values` hold, and those of the classes and groups inside them.

    Args:
        cls: whose settings they are.
        values: plain ones, as in a resolved config.
        roles: of the settings, by dotted names.
        key: dotted name of the place of this class in the config.
        asked: a group of settings that is explained even if it is null in the config.
    """
    texts = described(cls)
    known = parameters(cls)
    for name, value in values.items():
        if name not in known:
            continue
        hint, default = known[name]
        place = inside(key, name)
        named = isinstance(value, Mapping) and "class_path" in value
        group: Any = next((one for one in alternatives(hint) if is_dataclass(one)), None)
        plain = value["class_path"] if named else value
        if not (isinstance(value, Mapping) and group and not named):
            yield Setting(place, plain, default, type_text(hint), role_of(roles, place), texts.get(name, ""))
        if named:
            inner = import_class(value["class_path"], place)
            if isinstance(inner, type):
                yield from explained(inner, value.get("init_args") or {}, roles, place, asked)
        elif group and isinstance(value, Mapping):
            yield from explained(group, value, roles, place, asked)
        elif group and f"{asked}.".startswith(f"{place}."):
            defaults = {inner: default for inner, (_, default) in parameters(group).items()}
            yield from explained(group, defaults, roles, place)


def parameters(cls: Any) -> dict[str, tuple[Any, Any]]:
    """Return parameter -> (type, default) of a class's constructor, those that it hands on to base classes included."""
    found: dict[str, tuple[Any, Any]] = {}
    for base in cls.__mro__:
        if is_dataclass(base):
            hints = _hints(base)
            return {**{one.name: (hints.get(one.name), _default(one)) for one in fields(base) if one.init}, **found}
        if "__init__" in vars(base):
            hints = _hints(vars(base)["__init__"])
            signature = inspect.signature(vars(base)["__init__"]).parameters
            _, *given = (one for one in signature.values() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD))
            found = {**{one.name: (hints.get(one.name, one.annotation), one.default) for one in given}, **found}
            if not any(one.kind is one.VAR_KEYWORD for one in signature.values()):
                break  # it hands nothing on
    return found


def classes_for(cls: Any, values: Mapping[str, Any], key: str) -> list[str]:
    """Return the names of classes that may stand at a dotted key: of those that are imported their own names, of others
    that the lab's experiments have there the paths.

    Args:
        cls: whose settings `values` are, plain ones.
    """
    there = (setting(read(path), key) for path in shipped().values())
    paths = {one["class_path"] for one in there if isinstance(one, Mapping) and "class_path" in one}
    names = {one.__name__ for base in _bases(_hint_at(cls, values, key)) for one in _below(base)}
    return sorted(names) + sorted(path for path in paths if path.rpartition(".")[2] not in names)


def takes_class(cls: Any, values: Mapping[str, Any], key: str) -> bool:
    """Whether a class may be named at a dotted key, by the types of the settings; see `classes_for`."""
    bases = _bases(_hint_at(cls, values, key))
    return any(not (issubclass(base, VALUES) or is_dataclass(base) or base is Any) for base in bases)


def _hint_at(cls: Any, values: Mapping[str, Any], key: str) -> Any:
    """The type of a setting; None for one that is not there."""
    hint: Any = None
    for part in key.split("."):
        hint = parameters(cls).get(part, (None, None))[0]
        value = values.get(part)
        if isinstance(value, Mapping) and isinstance(found := import_class(value.get("class_path", ""), key), type):
            cls, values = found, value.get("init_args") or {}
        elif isinstance(value, Mapping):
            cls = next((one for one in alternatives(hint) if is_dataclass(one)), cls)
            values = value
    return hint


def _bases(hint: Any) -> Iterator[type]:
    """Yield the classes that a type asks a class to be of."""
    for one in alternatives(hint):
        origin, inner = get_origin(one), get_args(one)
        if isinstance(origin, type) and not issubclass(origin, Callable | Sequence):  # type: ignore[arg-type]
            yield origin
        elif origin is not None and inner:
            yield from _bases(inner[-1] if inner[-1] is not Ellipsis else inner[0])
        elif isinstance(one, type) and one not in (type(None), object):
            yield one


def _below(base: type) -> Iterator[type]:
    """Yield the imported classes of the lab, its families and libraries that are subclasses and can be built."""
    below: list[type] = type.__subclasses__(base)
    for one in below:
        own = one.__module__.startswith(("lab.", "torch.optim.", "gymnasium.wrappers.", *families()))
        if own and not inspect.isabstract(one) and not one.__name__.startswith("_"):
            yield one
        yield from _below(one)


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union; anything else as its only member."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def type_text(hint: Any) -> str:
    """Return a type in words: `whole number > 0 or null`, `one of auto, cpu, cuda, mps`, `Encoder class`."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(type_text(one) for one in inner))
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin is Callable or (isinstance(origin, type) and issubclass(origin, Callable)):  # type: ignore[arg-type]
        return f"{_name(inner[-1])} class" if inner else "class"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "names and values"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        kinds = [type_text(one) for one in inner if one is not Ellipsis]
        return f"list: {', '.join(dict.fromkeys(kinds))}"
    name = _name(hint)
    if name in NUMBERS:
        return NUMBERS[name]
    if is_dataclass(hint):
        return "group of settings"
    return f"{name} class" if isinstance(hint, type) and hint not in (list, dict, tuple, set) else name


def role_of(roles: Roles, key: str) -> str:
    """Return what a setting does beside the method, in words."""
    for name, said in ROLES.items():
        if any(key == one or key.startswith(f"{one}.") for one in getattr(roles, name)):
            return said
    return ""


def _hints(owner: Any) -> dict[str, Any]:
    try:
        return get_type_hints(owner)
    except (NameError, TypeError):  # imported for type checkers only
        return {}


def _default(one: Any) -> Any:
    if one.default is not MISSING:
        return one.default
    return REQUIRED if one.default_factory is MISSING else one.default_factory()


def _name(hint: Any) -> str:
    return getattr(hint, "__name__", None) or str(hint).rpartition(".")[2]
