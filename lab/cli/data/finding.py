"""Which data a name or a path holds, prepared by the class that an experiment would use."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml
from jsonargparse import ArgumentParser

import lab.data
from lab.config.classes import overridden
from lab.config.messages import explain
from lab.config.values import Words
from lab.console.wording import near, word
from lab.data.base import DataModule
from lab.data.catalog import entries, lookup
from lab.data.own.kinds import KINDS, READ_BY, kinds_of, unknown
from lab.errors import ConfigError, LabError, nearest
from lab.system.files import at_home


@dataclass(frozen=True)
class Found:
    """Data that could be read.

    Args:
        data: prepared.
        kind: what they are, in words.
        settings: that an experiment needs to use them, as words of the command line.
    """

    data: DataModule
    kind: str
    settings: tuple[str, ...]


def find_data(named: str, settings: Sequence[str] = ()) -> tuple[list[Found], list[str]]:
    """Return the data of a name or path, once for each class that can read them, and why others cannot.

    Args:
        named: a file or folder, or a data set of the catalog.
        settings: of the data, as words of the command line: `--data.image_size=64`.

    Raises ConfigError or DataError where nothing can read them.
    """
    if strange := [one for one in overridden(settings) if not one.startswith("data.")]:
        raise ConfigError(
            f"`lab data show` takes settings of the data alone, --data.NAME=VALUE, received --{strange[0]}"
        )
    here = at_home(named)
    if named in entries() and not here.is_dir():
        return [_published(named, settings)], []
    if not here.exists():
        raise ConfigError(
            f"there is no file or folder {named}, and no data set of this name; `lab data list` shows them"
            f"{nearest(named, entries())}"
        )
    kinds = kinds_of(here)
    if not kinds:
        raise ConfigError(f"{named} {unknown(here)}")
    kind = kinds[0]
    given = (f"--data.path={_as_path(near(here.absolute()))}", *settings)
    found, reasons, errors = list[Found](), list[str](), list[LabError]()
    readers = READ_BY[kind]
    for cls in _classes("path", list(readers)):
        meaning = readers[cls.__name__]
        try:
            data = build(cls, given)
            data.prepare()
            found.append(Found(data, f"{KINDS[kind]} {meaning}".rstrip(), tuple(map(word, given))))
        except LabError as error:
            reasons.append(f"not read {meaning}: {error}")
            errors.append(error)
    if not found:
        raise errors[0] if len({*map(str, errors)}) == 1 else ConfigError("; ".join(reasons))
    return found, reasons


def _as_path(text: str) -> str:
    """Return a path that `--data.path` takes as one. Before a name that stands for another value there, such as `null`,
    `[x]` or `${env:X}`, is `./`."""
    try:
        read = yaml.load(text, Words)  # noqa: S506, it is a SafeLoader
    except yaml.YAMLError:
        read = text
    other = read is None or isinstance(read, list | dict) or text.startswith("${")
    return f"./{text}" if other else text


def build(cls: type[DataModule], settings: Sequence[str]) -> DataModule:
    """Return a data module built from words such as `--data.path=photos`. Raises ConfigError where one is wrong."""
    parser = ArgumentParser(exit_on_error=False, add_help=False, allow_abbrev=False)
    parser.add_class_arguments(cls, "data")
    try:
        parsed = parser.parse_args(list(settings))
    except (argparse.ArgumentError, TypeError, ValueError, KeyError) as error:
        known = inspect.signature(cls).parameters
        raise ConfigError(explain(error, {"data"}, known, overridden(settings))) from error
    built: DataModule = parser.instantiate(parsed).data
    return built


def _published(name: str, settings: Sequence[str]) -> Found:
    """Return a data set of the catalog. Nothing is downloaded for this."""
    if not lookup(name).present():
        raise ConfigError(f"{name} is not here; `lab data fetch {name}` downloads it")
    for cls in _classes("name", lab.data.__all__):
        try:
            data = build(cls, [f"--data.name={name}", *settings])
        except ConfigError as error:
            if "data.name must be" in str(error):
                continue
            raise
        data.prepare()
        return Found(data, lookup(name).title, (f"--data.name={name}", *map(word, settings)))
    raise ConfigError(f"no class in lab.data reads {name}")


def _classes(setting: str, names: Sequence[str]) -> Iterator[type[DataModule]]:
    """Yield the data modules of these names that have a setting."""
    for name in names:
        cls = getattr(lab.data, name)
        if isinstance(cls, type) and issubclass(cls, DataModule) and setting in inspect.signature(cls).parameters:
            yield cls
