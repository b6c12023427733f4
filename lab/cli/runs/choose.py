"""The runs that a `lab runs` command is about, their order, and their columns."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lab.cli.options import listed
from lab.cli.output import say
from lab.cli.runs.rules import COLUMNS
from lab.console.wording import count
from lab.runs.fields import MEAN, check, result_metric, value
from lab.runs.order import best_first, in_order
from lab.runs.query import parse, where
from lab.runs.readings import own_or_all
from lab.runs.select import Run, choose, damaged
from lab.runs.summary import scan


def chosen(options: argparse.Namespace, names: Sequence[str], folder: Path, *, by_folder: bool = False) -> list[Run]:
    """Return the runs that names and --where choose. Runs with a damaged summary are named on stderr. With `by_folder`,
    names are those of folders, so that a copy of a run is another one than the run."""
    if options.where is not None:
        parse(options.where)  # a mistake in it is refused before anything is read
    lenient = also_damaged(options, names)
    scanned = list(scan(folder))
    found = choose(names, folder, lenient=lenient, scanned=scanned, by_folder=by_folder)
    for one in damaged(names, folder, scanned):
        say(f"{'' if lenient else 'left out: '}{one / 'summary.json'} is damaged, or not the summary of a run")
    return found if options.where is None else where(options.where, found)


def also_damaged(options: argparse.Namespace, names: Sequence[str]) -> bool:
    """Whether the names stand for damaged runs as well. A condition cannot be checked on those."""
    return bool(options.force and names and options.where is None)


def in_asked_order(options: argparse.Namespace, runs: Sequence[Run]) -> list[Run]:
    """Return the runs as --best, --sort and --limit ask."""
    ordered = list(runs)
    if options.best:
        if fast := [run for run in ordered if run.record.fast_dev_run]:
            say(f"left out: {count(len(fast), 'fast-dev run')}, whose figures mean nothing")
            ordered = [run for run in ordered if not run.record.fast_dev_run]
        own = own_or_all(ordered)
        if strange := len(ordered) - len(own):
            say(f"left out: {count(strange, 'run')} not signed as yours; `lab trust RUN` signs one")
            ordered = own
        ordered = best_first(ordered, lambda run: value(run, options.best), options.best, runs, say)
    elif options.sort:
        ordered = in_order(ordered, options.sort)
    return ordered[: options.limit]


def columns(options: argparse.Namespace, runs: Sequence[Run]) -> list[str]:
    """Return the fields to show: those of --columns, else the usual ones and the field that decides the order."""
    if options.columns is not None:
        names = listed(options.columns, "--columns")
        check(names, runs)
        return names
    names, decides = [*COLUMNS], options.best or (options.sort or "").removeprefix("-")
    if not all(run.record.mine for run in runs):
        names.insert(names.index("status"), "mine")
    if any(run.record.target for run in runs):
        names.insert(names.index("verdict") + 1, "target")
    shown = {result_metric(run) for run in runs} <= {decides, decides + MEAN}
    if decides and decides not in names and not shown:
        names.insert(names.index("result"), decides)
    return names
