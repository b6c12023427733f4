"""`lab runs`: the chosen runs as a table or as JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lab.cli.output import print_json, print_line, print_lines, stdout, unbroken
from lab.cli.runs.choose import columns, in_asked_order
from lab.cli.views.running import position
from lab.cli.views.runs import running_table, runs_table
from lab.runs.fields import value
from lab.runs.select import Run


def show_runs(options: argparse.Namespace, found: Sequence[Run], folder: Path, of: int | None = None) -> int:
    """Print the runs. `of` is how many there are, where `found` are only the first."""
    limited = in_asked_order(options, found)
    if options.json and options.columns is not None:
        names = columns(options, limited)
        print_json([{name: value(run, name) for name in names} for run in limited])
    elif options.json:
        print_json([asdict(run.record) | {"status": run.status, "disk": run.disk} for run in limited])
    elif limited:
        console = unbroken()
        if running := running_table(limited, position):
            console.print(running, "")
        width = stdout().width if sys.stdout.isatty() and options.columns is None else None
        print_lines("\n".join(runs_table(limited, columns(options, limited), of or len(found), width)))
    elif options.names or options.where or found:
        print_line(f"no such runs in {folder}")
    else:
        print_line(f"no runs in {folder} yet; start one with `lab run NAME`")
    return 0
