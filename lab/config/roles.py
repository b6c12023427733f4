"""Roles of settings: which ones say how long to train, how to measure, or which repeat of an experiment a run is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any

from lab.config.classes import types_of
from lab.config.imports import import_class, moved
from lab.config.shipped import families


@dataclass(frozen=True)
class Roles:
    """Which settings of a class have a role when runs are grouped and compared. All others belong to the method.

    A class declares them as the class variable `roles`, under the names of its own settings. A subclass declares only
    what it adds.

    Args:
        repeats: make repeats of one experiment, as the seed and a fold do: a mean is taken over them.
        only_with: of these, those that mean nothing where another setting is null: `{"subset": "train_size"}`.
        budget: say how long to train, each with its unit: `{"max_epochs": "epochs"}`.
        stops: end training before its budget is used up, unless they are null.
        watching: say how training is watched. They belong to the method only where one of `stops` is set.
        protocol: say how the trained model is measured.
        episodes: of the protocol, the number of episodes that the figures are means of.
        samples: of the protocol, the number of samples by which a bound gets tighter.
        task: make another task of an environment or a data set of the same name.
        indifferent: change neither the trained model nor its figures.
        added: were added in a later version, each with the value that means the same as its absence before.
    """

    repeats: tuple[str, ...] = ()
    only_with: Mapping[str, str] = field(default_factory=dict)
    budget: Mapping[str, str] = field(default_factory=dict)
    stops: tuple[str, ...] = ()
    watching: tuple[str, ...] = ()
    protocol: tuple[str, ...] = ()
    episodes: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    indifferent: tuple[str, ...] = ()
    added: Mapping[str, Any] = field(default_factory=dict)

    @property
    def measuring(self) -> tuple[str, ...]:
        """All settings that say how the trained model is measured."""
        return (*self.protocol, *self.episodes, *self.samples)

    def under(self, prefix: str) -> Roles:
        """Return the same roles for settings whose names begin with `prefix`."""
        return Roles(**{name: _prefixed(prefix, found) for name, found in vars(self).items()})

    def __or__(self, other: Roles) -> Roles:
        return Roles(**{name: _both(found, vars(other)[name]) for name, found in vars(self).items()})

    def as_dict(self) -> dict[str, Any]:
        """Return the roles that some setting has, as plain values."""
        found = {name: dict(one) if isinstance(one, Mapping) else list(one) for name, one in vars(self).items()}
        return {name: one for name, one in found.items() if one}

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Roles:
        """Return the roles that `as_dict` gave. Whatever does not fit is left out: it may be somebody else's file."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: _readable(name, found) for name, found in values.items() if name in known})


def roles_of(cls: type, settings: Mapping[str, Any]) -> Roles:
    """Return the roles of a class's settings and of all classes and dataclasses inside them, by dotted names.

    `settings` are plain values, as in a config file: a class is a mapping with `class_path` and `init_args`.
    """
    found = Roles()
    for base in reversed(cls.__mro__):
        found |= vars(base).get("roles", Roles())
    idle = [name for name, other in found.only_with.items() if settings.get(other) is None]
    found = replace(found, repeats=tuple(name for name in found.repeats if name not in idle), only_with={})
    types = types_of(cls)
    for name, value in settings.items():
        if not isinstance(value, Mapping):
            continue
        if "class_path" in value:
            inner, inside = import_class(value["class_path"], name), value.get("init_args") or {}
        else:
            inner, inside = next((one for one in types.get(name, ()) if is_dataclass(one)), None), value
        if isinstance(inner, type):
            found |= roles_of(inner, inside).under(f"{name}.")
    return found


@cache
def roles_before_0_2() -> Roles:
    """Return the roles that settings had in version 0.1.0, whose runs did not record them, by dotted names."""
    found = Roles()
    for package in ("lab", *families()):
        found |= Roles.read(getattr(moved(package), "ROLES_BEFORE_0_2", {}))
    return found


def _prefixed(prefix: str, found: Any) -> Any:
    if isinstance(found, Mapping):
        return {prefix + name: unit for name, unit in found.items()}
    return tuple(prefix + name for name in found)


def _both(one: Any, other: Any) -> Any:
    return {**one, **other} if isinstance(one, Mapping) else tuple(dict.fromkeys((*one, *other)))


def _readable(name: str, found: Any) -> Any:
    if name in ("budget", "added", "only_with"):
        pairs = found.items() if isinstance(found, Mapping) else ()
        return {key: one for key, one in pairs if isinstance(key, str) and (isinstance(one, str) or name == "added")}
    listed: Iterable[Any] = found if isinstance(found, list | tuple) else ()
    return tuple(one for one in listed if isinstance(one, str))
