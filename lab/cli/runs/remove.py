"""`lab runs rm`: remove runs for good, after showing them and asking."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lab.cli.output import print_json, print_line, print_lines, say
from lab.cli.runs.choose import also_damaged, chosen
from lab.cli.views.runs import runs_table
from lab.console.wording import count, size
from lab.errors import ConfigError
from lab.runs.folder import at_work
from lab.runs.remove import clear_away, dependents, folder_of, remove
from lab.runs.select import Run, damaged
from lab.system.disk import disk

SHOWN = ("run", "experiment", "status", "seed", "result", "disk")


def remove_runs(options: argparse.Namespace, names: Sequence[str], folder: Path) -> int:
    """Show the runs, ask, and remove them. Raises ConfigError, and removes nothing, where a run is at work or others
    need it."""
    runs = chosen(options, names, folder, by_folder=True)
    doomed = {folder_of(run.record.dir, folder): run.record.run_id for run in runs}
    if also_damaged(options, names):
        doomed |= {folder_of(one, folder): one.name for one in damaged(names, folder)}
    if not doomed:
        print_line(f"no such runs in {folder}; nothing was removed")
        return 0
    if busy := [run_id for path, run_id in doomed.items() if at_work(path)]:
        raise ConfigError(
            f"a process is at work on {', '.join(busy[:4])}: wait for its end, or end it; nothing was removed"
        )
    needing = dependents(doomed, folder)
    if needing and not options.force:
        raise ConfigError(
            f"{'; '.join(map(str, needing[:4]))}: name it as well, or remove it anyway with --force; "
            "nothing was removed"
        )
    sizes = {path: disk(path) for path in doomed}
    if runs and not options.json:
        by_folder = [Run(replace(run.record, run_id=run.record.dir.name)) for run in runs]  # as they were named
        print_lines("\n".join(runs_table(by_folder, SHOWN)))
    for one in needing:
        say(f"{one}, and keeps what it has")
    if not options.yes and not _agreed(f"remove {'it' if len(doomed) == 1 else 'them'} for good?"):
        print_line("nothing was removed")
        return 1
    clear_away(folder)
    for path in doomed:
        remove(path, folder)
    if options.json:
        removed = [{"run": path.name, "folder": str(path), "disk": taken} for path, taken in sizes.items()]
        print_json({"removed": removed})
    else:
        print_line(f"removed {count(len(doomed), 'run')}, {size(sum(sizes.values()))}")
    return 0


def _agreed(question: str) -> bool:
    """Ask on the terminal. Raises ConfigError where there is none."""
    if not sys.stdin.isatty():
        raise ConfigError("no terminal to ask for a confirmation: --yes removes without asking; nothing was removed")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return False
