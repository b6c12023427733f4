"""What `lab runs` does: looking through the recorded runs, and removing some. Torch is not needed for any of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cli.commands import stdout
from lab.cli.runs_options import COLUMNS, REMOVE, listed, names_of
from lab.errors import ConfigError

if TYPE_CHECKING:
    from lab.runs.select import Run


def runs(options: argparse.Namespace, rest: list[str]) -> int:
    """Print the runs on this machine, or what is asked about them."""
    from lab.cli.views.runs import runs_table
    from lab.runs.fields import value
    from lab.runs.order import best_first, in_order
    from lab.runs.summary import runs_folder

    names, folder = names_of(options, rest), runs_folder(options.runs_dir)
    if names[:1] == [REMOVE]:
        return _remove(options, names[1:], folder)
    if options.diff:
        return _diff(options, folder)
    chosen = _chosen(options, names, folder)
    if options.group_by:
        return _groups(options, chosen)
    ordered = chosen
    if options.best:
        ordered = best_first(chosen, lambda run: value(run, options.best), options.best, chosen, _say)
    elif options.sort:
        ordered = in_order(chosen, options.sort)
    limited = ordered[: options.limit]
    if options.export:
        return _export(options, limited)
    if options.json:
        return _json(options, limited)
    if limited:
        _wide().print(runs_table(limited, _columns(options, chosen), len(chosen)))
    elif names or options.where:
        print(f"no such runs in {folder}")
    else:
        print(f"no runs in {folder} yet; start one with `lab run NAME`")
    return 0


def _chosen(options: argparse.Namespace, names: Sequence[str], folder: Path) -> list[Run]:
    """The runs that are meant. Those whose summary is damaged are named on stderr."""
    from lab.runs.query import parse, where
    from lab.runs.select import choose, damaged

    if options.where is not None:
        parse(options.where)  # before anything is read: a slip is said at once
    lenient = _also_damaged(options, names)
    chosen = choose(names, folder, lenient=lenient)
    for one in damaged(names, folder):
        _say(f"{'' if lenient else 'left out: '}{one / 'summary.json'} is damaged, or no summary of a run")
    return chosen if options.where is None else where(options.where, chosen)


def _also_damaged(options: argparse.Namespace, names: Sequence[str]) -> bool:
    """Whether damaged runs are meant as well. Of a condition it is not known whether they have it."""
    return bool(options.force and names and options.where is None)


def _columns(options: argparse.Namespace, chosen: Sequence[Run]) -> list[str]:
    from lab.runs.fields import MEAN, check, result_metric

    if options.columns is not None:
        columns = listed(options.columns, "--columns")
        check(columns, chosen)
        return columns
    columns, decides = [*COLUMNS], options.best or (options.sort or "").removeprefix("-")
    shown = {result_metric(run) for run in chosen} <= {decides, decides + MEAN}
    if decides and decides not in columns and not shown:
        columns.insert(columns.index("result"), decides)
    return columns


def _json(options: argparse.Namespace, chosen: Sequence[Run]) -> int:
    from dataclasses import asdict

    from lab.runs.fields import value
    from lab.system.disk import disk

    if options.columns is not None:
        names = _columns(options, chosen)
        print(json.dumps([{name: value(run, name) for name in names} for run in chosen]))
    else:
        rows = [asdict(run.record) | {"status": run.status, "disk": disk(run.record.dir)} for run in chosen]
        print(json.dumps(rows))
    return 0


def _groups(options: argparse.Namespace, chosen: Sequence[Run]) -> int:
    from lab.cli.views.groups import as_rows, groups_table
    from lab.runs.fields import check
    from lab.runs.groups import COLUMNS as FIGURES
    from lab.runs.groups import by_column, groups
    from lab.runs.order import best_first, in_order

    names = listed(options.group_by, "--group-by")
    check(names, chosen)
    sort = (options.sort or "").removeprefix("-")
    ordered = in_order(chosen, options.sort) if sort and sort not in FIGURES else chosen
    found = groups(ordered, names, options.best)
    if sort in FIGURES:
        found = by_column(found, sort, downwards=options.sort.startswith("-"))
    if options.best:
        found = best_first(found, lambda one: one.spread and one.spread.mean, options.best, chosen, _say)
    found = found[: options.limit]
    if options.json:
        print(json.dumps(as_rows(found)))
    elif found:
        stdout().print(groups_table(found))
    return 0


def _diff(options: argparse.Namespace, folder: Path) -> int:
    from lab.runs.diff import diff_report, run_diff
    from lab.runs.select import Run
    from lab.runs.summary import find_run, read_summary

    a, b = (Run(read_summary(find_run(name, folder))) for name in options.diff)
    for run in (a, b):
        if not run.config:
            _say(f"{run.record.dir}/config.yaml cannot be read: its settings are left out")
    found = run_diff(a, b)
    if options.json:
        print(json.dumps(found.as_dict()))
    else:
        stdout().print(diff_report(found))
    return 0


def _export(options: argparse.Namespace, chosen: Sequence[Run]) -> int:
    from lab.console.wording import count
    from lab.runs.csv import as_csv
    from lab.runs.fields import everything, value
    from lab.system.files import write_atomic

    if options.columns is None:
        rows = [everything(run) for run in chosen]
    else:
        names = _columns(options, chosen)
        rows = [{name: value(run, name) for name in names} for run in chosen]
    written = as_csv(rows)
    if options.output is None:
        print(written, end="")
        return 0
    try:
        write_atomic(Path(options.output), written.encode())
    except OSError as error:
        raise ConfigError(f"cannot write {options.output}: {error.strerror}") from error
    _say(f"{options.output}: {count(len(rows), 'run')}")
    return 0


def _remove(options: argparse.Namespace, names: Sequence[str], folder: Path) -> int:
    """Remove runs for good, once it was said what goes and somebody agreed."""
    from lab.cli.views.runs import runs_table
    from lab.console.wording import count, size
    from lab.runs.folder import at_work
    from lab.runs.remove import clear_away, dependents, folder_of, remove
    from lab.runs.select import damaged
    from lab.system.disk import disk

    runs = _chosen(options, names, folder)
    chosen = {folder_of(run.record.dir, folder): run.record.run_id for run in runs}
    if _also_damaged(options, names):
        chosen |= {folder_of(ruin, folder): ruin.name for ruin in damaged(names, folder)}
    if not chosen:
        print(f"no such runs in {folder}; nothing was removed")
        return 0
    if busy := [run_id for path, run_id in chosen.items() if at_work(path)]:
        raise ConfigError(
            f"a process is at work on {', '.join(busy[:4])}: wait for its end, or end it; nothing was removed"
        )
    needing = dependents(chosen, folder)
    if needing and not options.force:
        raise ConfigError(
            f"{'; '.join(map(str, needing[:4]))}: name it as well, or remove nevertheless with --force; "
            "nothing was removed"
        )
    sizes = {path: disk(path) for path in chosen}
    if runs and not options.json:
        _wide().print(runs_table(runs, ("run", "experiment", "status", "seed", "result", "disk")))
    for one in needing:
        _say(f"{one}, and keeps what it has")
    if not options.yes and not _agreed(f"remove {'it' if len(chosen) == 1 else 'them'} for good?"):
        print("nothing was removed")
        return 1
    clear_away(folder)
    for path in chosen:
        remove(path, folder)
    if options.json:
        removed = [{"run": path.name, "folder": str(path), "disk": taken} for path, taken in sizes.items()]
        print(json.dumps({"removed": removed}))
    else:
        print(f"removed {count(len(chosen), 'run')}, {size(sum(sizes.values()))}")
    return 0


def _agreed(question: str) -> bool:
    """Ask on the terminal. Raises ConfigError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise ConfigError("there is no terminal to ask for a confirmation: --yes removes without; nothing was removed")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return False


def _wide() -> Any:
    """The console for rows that the terminal may break, where it is narrow, but that stay one line each."""
    console = stdout()
    console.width, console.soft_wrap = 1000, True
    return console


def _say(line: str) -> None:
    print(f"lab: {line}", file=sys.stderr, flush=True)
