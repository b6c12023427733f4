"""Finds the commands by path: each file in `lab/cli/experiments`, `trained` and `records`, or in
a family's `commands` folder, is one command.

A command's file has

- `SUMMARY`, one line for `lab --help`;
- `add_options(parser)`, which declares its arguments;
- `run(options, rest)`, which does the work and returns the exit code;
- optionally `TAKES_OVERRIDES = True`: any other `--a.b=value` is then a setting of the config and arrives in `rest`,
  which is empty otherwise;
- optionally `EPILOG`, the last paragraph of its help;
- optionally `Recipe`, where it makes data sets that configs name; see `lab.data.collected`.

Its name is the file's name, with `-` for `_`. Only the file of the command that was asked for is imported, so a
command's file imports heavy libraries inside functions.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.config.shipped import families, keep_own
from lab.errors import ConfigError, nearest

if TYPE_CHECKING:
    from lab.cli.parser import Parser

ROOMS = {"experiments": "experiments", "trained": "what a run trained", "records": "recorded runs and data sets"}
"""The rooms of `lab/cli` that hold commands, with their headings in `lab --help`."""

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Command:
    """What the file of a command has; the texts above say more.

    Args:
        summary: one line for `lab --help`.
        add_options: declares the arguments.
        run: does the work, and returns the exit code.
        takes_overrides: whether `--a.b=value` is a setting of the config.
        epilog: the last paragraph of its help.
    """

    summary: str
    add_options: Callable[[Parser], None]
    run: Callable[[argparse.Namespace, list[str]], int]
    takes_overrides: bool
    epilog: str


def commands() -> dict[str, dict[str, str]]:
    """Return heading -> command's name -> dotted name of its module."""
    rooms = {heading: (f"lab.cli.{room}", HERE / room) for room, heading in ROOMS.items()}
    rooms |= {name: (f"{name}.commands", HERE.parents[1] / name / "commands") for name in families()}
    found = {
        heading: {
            path.stem.replace("_", "-"): f"{package}.{path.stem}"
            for path in sorted(folder.glob("*.py"))
            if path.stem != "__init__"
        }
        for heading, (package, folder) in rooms.items()
    }
    return {heading: names for heading, names in found.items() if names}


def find(name: str) -> Command:
    """Return the command called `name`. Raises ConfigError, with the nearest name, where there is none."""
    modules = {command: module for room in commands().values() for command, module in room.items()}
    if name not in modules:
        raise ConfigError(f"unknown command {name!r}{nearest(name, modules)}; `lab --help` lists the commands")
    return load(modules[name])


def load(module: str) -> Command:
    """Import the file of a command."""
    keep_own()
    file = importlib.import_module(module)
    return Command(
        file.SUMMARY, file.add_options, file.run, getattr(file, "TAKES_OVERRIDES", False), getattr(file, "EPILOG", "")
    )
