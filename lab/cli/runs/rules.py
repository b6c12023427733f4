"""Which options of `lab runs` go together."""

from __future__ import annotations

import argparse

from lab.errors import ConfigError

REMOVE = "rm"
COLUMNS = ("run", "experiment", "status", "seed", "result", "verdict", "train", "device", "disk")
"""What `lab runs` shows of a run unless --columns says otherwise."""

LISTING = ("sort", "group_by", "best", "diff", "export", "columns", "limit", "output", "watch")
CHOOSING = ("names", "where", "sort", "best", "group_by", "export")
"""Options with which the first runs can't be told without reading all."""

REMOVING = ("yes", "force")
EXCLUSIVE = (
    ("best", "sort"),
    ("group_by", "columns"),
    ("group_by", "export"),
    ("export", "json"),
    ("watch", "export"),
    ("watch", "json"),
)


def check(options: argparse.Namespace) -> None:
    """Raise ConfigError for options that do not go together."""
    given = [name for name, value in vars(options).items() if value not in (None, False, [])]
    if options.names[:1] == [REMOVE]:
        if more := [name for name in given if name in LISTING]:
            raise ConfigError(f"`lab runs rm` does not take {_flag(more[0])}; choose with names and --where")
        if len(options.names) == 1 and options.where is None:
            raise ConfigError("`lab runs rm` needs to be told which runs: a name, a pattern, or --where")
        return
    if more := [name for name in given if name in REMOVING]:
        raise ConfigError(f"{_flag(more[0])} is for `lab runs rm`")
    for one, other in EXCLUSIVE:
        if one in given and other in given:
            raise ConfigError(f"{_flag(one)} and {_flag(other)} exclude each other")
    if options.output is not None and not options.export:
        raise ConfigError("-o is for --export csv")
    if options.diff and (more := [name for name in given if name in {*LISTING, "where"} - {"diff"}]):
        raise ConfigError(f"--diff compares two runs and takes no {', '.join(map(_flag, more))}")
    if options.diff and options.names:
        raise ConfigError(f"--diff compares two runs, received {options.names[0]!r} as well")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
