"""The options of `lab runs`, and which of them contradict each other."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence

from lab.errors import ConfigError, nearest

REMOVE = "rm"
COLUMNS = ("run", "experiment", "status", "seed", "result", "verdict", "train", "device", "disk")
"""What `lab runs` shows of a run."""

LISTING = ("sort", "group_by", "best", "diff", "export", "columns", "limit", "output")
REMOVING = ("yes", "force")
EXCLUSIVE = (("best", "sort"), ("group_by", "columns"), ("group_by", "export"), ("export", "json"))


def add_options(parser: argparse.ArgumentParser, count: Callable[[str], int]) -> None:
    """Give the parser of `lab runs` its options; `count` reads a number from 1 on."""
    parser.add_argument(
        "names",
        metavar="RUN|EXPERIMENT|GLOB",
        nargs="*",
        help="a run folder, a run's id or its beginning, an experiment, or a pattern for these (default: all runs); "
        "`lab runs rm RUN|EXPERIMENT|GLOB ...` removes them",
    )
    parser.add_argument("--where", metavar="COND", help="as 'eval/return>400 and seed<3'; < <= > >= = != ~ and or not")
    parser.add_argument("--sort", metavar="FIELD", help="a metric, setting or field of the summary; -FIELD: descending")
    parser.add_argument("--best", metavar="METRIC", help="the best first")
    parser.add_argument("--limit", metavar="N", type=count, help="the first N only")
    parser.add_argument("--columns", metavar="FIELD,...", help=f"what to show (default: {','.join(COLUMNS)})")
    parser.add_argument("--group-by", metavar="FIELD,...", help="one row per group, with the mean over its runs")
    parser.add_argument("--diff", metavar=("A", "B"), nargs=2, help="two runs side by side")
    parser.add_argument("--export", choices=("csv",), help="every field, metric and setting of each run")
    parser.add_argument("-o", "--output", metavar="FILE", help="where --export writes (default: stdout)")
    parser.add_argument("--yes", action="store_true", help="with rm: do not ask")
    parser.add_argument(
        "--force", action="store_true", help="with rm: also damaged runs, and what others were made from"
    )


def as_one_word(words: Sequence[str]) -> list[str]:
    """Return the command's words with `--sort -seed` as one: argparse would take `-seed` for another option."""
    joined: list[str] = []
    for word in words:
        if joined[-1:] == ["--sort"] and re.match("-[^-]", word):
            joined[-1] = f"--sort={word}"
        else:
            joined.append(word)
    return joined


def names_of(options: argparse.Namespace, rest: Sequence[str]) -> list[str]:
    """Return all names, also those after an option, which argparse leaves over. Raises ConfigError for anything else
    that it leaves, and for options that do not go together."""
    for word in rest:
        if word.startswith("-"):
            known = [_flag(name) for name in vars(options)]
            raise ConfigError(f"`lab runs` does not take {word!r}{nearest(word.split('=')[0], known)}")
    names = [*options.names, *rest]
    given = [name for name, value in vars(options).items() if value not in (None, False, [])]
    if names[:1] == [REMOVE]:
        if more := [name for name in given if name in LISTING]:
            raise ConfigError(f"`lab runs rm` does not take {_flag(more[0])}; choose with names and --where")
        if len(names) == 1 and options.where is None:
            raise ConfigError("`lab runs rm` needs to be told which runs: a name, a pattern, or --where")
        return names
    if more := [name for name in given if name in REMOVING]:
        raise ConfigError(f"{_flag(more[0])} is for `lab runs rm`")
    for one, other in EXCLUSIVE:
        if one in given and other in given:
            raise ConfigError(f"{_flag(one)} and {_flag(other)} exclude each other")
    if options.output is not None and not options.export:
        raise ConfigError("-o is for --export csv")
    if options.diff and (more := [name for name in given if name in {*LISTING, "where"} - {"diff"}]):
        raise ConfigError(f"--diff compares two runs and takes no {', '.join(map(_flag, more))}")
    if options.diff and names:
        raise ConfigError(f"--diff compares two runs, received {names[0]!r} as well")
    return names


def listed(names: str, flag: str) -> list[str]:
    """Return names that stand behind an option with commas between them. Raises ConfigError for none."""
    found = [name.strip() for name in names.split(",") if name.strip()]
    if not found:
        raise ConfigError(f"{flag} needs names of fields, received {names!r}")
    return found


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
