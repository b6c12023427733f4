"""The commands in findings: they find the runs that are there, and the next report finds what they make."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod
from typing import Any

from lab.console.wording import near, ranges, word
from lab.runs.designs import repeat
from lab.runs.groups import Group
from lab.runs.select import Run
from lab.runs.summary import runs_folder


def place(run: Run) -> str:
    """Return the run's folder, as a word of a command."""
    return word(near(run.record.dir))


def again(run: Run, *options: str) -> str:
    """Return the command that repeats the run from its own config file. The experiment's name would not do where
    settings were overridden."""
    return here(" ".join(["lab run", word(near(run.record.dir / "config.yaml")), *options]), [run])


def here(command: str, runs: Sequence[Run]) -> str:
    """Return a command, with the folder that these runs lie in where that is not the usual one."""
    folder = runs[0].record.dir.absolute().parents[1] if runs else runs_folder()
    usual = folder.resolve() == runs_folder().resolve()
    return command if usual else f"{command} --runs-dir {word(near(folder))}"


def more_repeats(group: Group, least: int = 5) -> str:
    """Return the command, in backticks, for at least so many repeats of the group, with those that are there."""
    values: dict[str, dict[Any, None]] = {name: {} for name in group.varied if name != "seed"}
    for run in group.runs:
        for name, found in repeat(run):
            if name in values:
                values[name][found] = None
    seeds = set(group.seeds)
    wanted = ceil(least / prod(map(len, values.values())))
    fresh = (seed for seed in range(wanted + len(seeds)) if seed not in seeds)
    while len(seeds) < wanted:
        seeds.add(next(fresh))
    if not values:
        return f"`{again(group.runs[-1], f'--seeds {ranges(seeds)}')}`"
    varied = [f"{name}={','.join(map(str, found))}" for name, found in values.items()]
    options = [f"--vary {word(one)}" for one in (f"seed={ranges(seeds)}", *varied)]
    return f"`{again(group.runs[-1], *options)}`"
