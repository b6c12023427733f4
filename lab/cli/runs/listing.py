"""`lab runs`: the chosen runs as a table or as JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lab.cli.output import print_json, stdout, unbroken
from lab.cli.runs.choose import columns, in_asked_order
from lab.cli.views.running import position
from lab.cli.views.runs import running_table, runs_table
from lab.runs.fields import value
from lab.runs.select import Run
from lab.system.disk import disk


def show_runs(options: argparse.Namespace, found: Sequence[Run], folder: Path) -> int:
    """Print the runs."""
    limited = in_asked_order(options, found)
    if options.json and options.columns is not None:
        names = columns(options, limited)
        print_json([{name: value(run, name) for name in names} for run in limited])
    elif options.json:
        print_json([asdict(run.record) | {"status": run.status, "disk": disk(run.record.dir)} for run in limited])
    elif limited:
        console = unbroken()
        if running := running_table(limited, position):
            console.print(running, "")
        width = stdout().width if sys.stdout.isatty() and options.columns is None else None
        console.print(runs_table(limited, columns(options, found), len(found), width))
    elif options.names or options.where or found:
        print(f"no such runs in {folder}")
    else:
        print(f"no runs in {folder} yet; start one with `lab run NAME`")
    return 0
