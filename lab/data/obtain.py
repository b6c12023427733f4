"""Obtains the data set that a config names, or what stands in for it where it cannot be downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from lab.console.notices import notice
from lab.data.base import DatasetInfo
from lab.data.catalog import lookup
from lab.data.download import UnavailableError
from lab.errors import ConfigError, DataError, nearest
from lab.system.files import at_home

STAND_IN = "stand-in"
"""The setting that takes the data set that the entry in the catalog names."""


class Hashed(Protocol):
    """What a loader returns: the data, in any form, with a hash of all of it."""

    @property
    def sha256(self) -> str: ...


Loaded = TypeVar("Loaded", bound=Hashed)


def require_known(name: str, fallback: str, loaders: Collection[str]) -> None:
    """Raise ConfigError where `data.name` or `data.fallback` names no data set of this kind."""
    _require("data.name", name, loaders)
    embedded = [one for one in loaders if lookup(one).package]
    _require("data.fallback", fallback, (STAND_IN, "none", *embedded))


def obtain(name: str, fallback: str, loaders: Mapping[str, Callable[[], Loaded]]) -> tuple[Loaded, DatasetInfo]:
    """Return the data, and which data set it is.

    Args:
        name: of the data set.
        fallback: data set to use where `name` cannot be downloaded; `stand-in` for the one that its entry in the
            catalog names; `none` makes that an error.
        loaders: for each data set of this kind what returns its data. Raises UnavailableError where it cannot be
            downloaded.

    Raises DataError where there is no data to use.
    """
    try:
        loaded = loaders[name]()
        return loaded, DatasetInfo(name, loaded.sha256)
    except UnavailableError as error:
        other = lookup(name).stand_in if fallback == STAND_IN else fallback
        if other == "none":
            raise DataError(f"{error}, and data.fallback is none") from error
        notice(
            f"{error}. This run uses {other} instead ({lookup(other).title}): its figures say nothing about {name}, "
            "and get no verdict on what is published for it."
        )
        loaded = loaders[other]()
        return loaded, DatasetInfo(other, loaded.sha256, str(error))


def own(path: str, read: Callable[[Path], Loaded]) -> tuple[Loaded, DatasetInfo]:
    """Return the user's own data, and what they are. No published figure compares with them.

    Args:
        path: of the file or folder, as `data.path` has it.
        read: returns the data at a path that exists.

    Raises ConfigError where there is nothing at the path, DataError where it cannot be read as data of this kind.
    """
    place = at_home(path).resolve()
    if not place.exists():
        beside = [one.name for one in place.parent.iterdir()] if os.access(place.parent, os.R_OK) else []
        raise ConfigError(f"data.path: there is no file or folder {path}{nearest(place.name, beside)}")
    loaded = read(place)
    return loaded, DatasetInfo(place.name, loaded.sha256, path=str(place))


def _require(setting: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ConfigError(f"{setting} must be one of {', '.join(known)}, received {name!r}{nearest(name, known)}")
