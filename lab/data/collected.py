"""Data sets that a command of a family makes: where they lie, and what makes them.

Such a command's file has a class `Recipe`, which is built from the options that a config gives. It is found by its
path, as the command is, so that `lab` names no family.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, Protocol

from lab.config.shipped import ROOT, families, keep_own
from lab.config.types import Collected
from lab.console.wording import shown, some, word
from lab.data.catalog import data_dir
from lab.errors import ConfigError, DataError, nearest
from lab.system.files import is_name


class Recipe(Protocol):
    """How a command makes a data set. Building it raises ConfigError for options that are wrong."""

    def as_dict(self) -> dict[str, Any]:
        """Return all its options by name, those left out included. The data set's description has the same."""

    def words(self) -> list[str]:
        """Return the command without where the data go, as words of the shell after `lab`."""

    def make(self, folder: Path, runs: Path, *, fast_dev_run: bool = False) -> None:
        """Make the data set in `folder`, with all of it or not at all. Trained policies are looked for in `runs`, those
        of fast-dev runs only if `fast_dev_run`."""


class MissingDataError(DataError):
    """A data set that a command makes is not there.

    Args:
        message: which, and how it is made.
        wanted: as the config has it.
    """

    def __init__(self, message: str, wanted: Collected) -> None:
        super().__init__(message)
        self.wanted = wanted


def recipe_of(wanted: Collected) -> Recipe:
    """Return how a data set is made. Raises ConfigError for a command that makes none, and for wrong options."""
    makers = {
        path.stem: f"{family}.commands.{path.stem}"
        for family in families()
        for path in sorted((ROOT / family / "commands").glob("*.py"))
        if path.stem != "__init__"
    }
    if wanted.command in makers:
        keep_own()
        recipe = getattr(importlib.import_module(makers[wanted.command]), "Recipe", None)
        if recipe is not None:
            return recipe(**_known(recipe, wanted.options))  # type: ignore[no-any-return]
    raise ConfigError(f"no command {wanted.command!r} makes data sets{nearest(wanted.command, makers)}")


def folder_of(wanted: Collected) -> Path:
    """Return where a data set lies, or will lie. Raises ConfigError where its name is a path."""
    if not is_name(wanted.name):
        raise ConfigError(f"a data set that is collected needs a name of its own, received {wanted.name!r}")
    return data_dir() / wanted.name


def rehearsed(wanted: Collected) -> Collected:
    """Return the data set that a fast-dev run makes by a policy of another fast-dev run: under a name of its own, so
    that no other run takes it for what it needs."""
    return replace(wanted, name=f"{wanted.name}-fast-dev")


def require_made(wanted: Collected, hint: str = "") -> Path:
    """Return the folder of a data set. Raises MissingDataError, with the command and the hint, where there is none."""
    recipe, folder = recipe_of(wanted), folder_of(wanted)
    if not folder.exists():
        raise MissingDataError(
            f"{wanted.name} is not in {data_dir()}; `{command_of(recipe, folder)}` collects it{hint}",
            wanted,
        )
    return folder


def require_made_so(wanted: Collected, folder: Path, options: Mapping[str, Any]) -> None:
    """Raise ConfigError where a data set was made with other options than the config has."""
    now = recipe_of(wanted).as_dict()
    if options != now:
        other = [f"{key}={shown(options.get(key))}" for key in now if options.get(key) != now[key]]
        mine = [f"{key}={shown(now[key])}" for key in now if options.get(key) != now[key]]
        raise ConfigError(
            f"{folder} was collected with {some(other) or 'other options'}, and the config has {some(mine)}; give "
            "data.collected.name another name, and it is collected beside it"
        )


def command_of(recipe: Recipe, folder: Path) -> str:
    """Return the command that makes a data set there, as it is typed."""
    return " ".join(["lab", *map(word, recipe.words()), "-o", word(folder)])


def _known(recipe: Any, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options. Raises ConfigError for one that the recipe does not have, or where it needs one more."""
    known = {field.name: field for field in fields(recipe)}
    for name in options:
        if name not in known:
            raise ConfigError(f"data.collected.options: unknown option {name!r}{nearest(name, known)}")
    for name, field in known.items():
        if field.default is MISSING and name not in options:
            raise ConfigError(f"data.collected.options: {name} is missing")
    return options
