"""`lab runs --export csv`: the runs as a table for other programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lab.cli.csv import as_csv
from lab.cli.output import print_lines, say, writing
from lab.cli.runs.choose import columns, in_asked_order
from lab.console.wording import count
from lab.runs.fields import everything, value
from lab.runs.select import Run
from lab.system.files import write_atomic


def export(options: argparse.Namespace, found: Sequence[Run]) -> int:
    """Print the rows, or write them to the file of -o."""
    runs = in_asked_order(options, found)
    if options.columns is None:
        rows = [everything(run) for run in runs]
    else:
        names = columns(options, runs)
        rows = [{name: value(run, name) for name in names} for run in runs]
    written = as_csv(rows)
    if options.output in (None, "-"):
        print_lines(written.removesuffix("\n"))
        return 0
    with writing(options.output):
        write_atomic(Path(options.output), written.encode())
    say(f"{options.output}: {count(len(rows), 'run')}")
    return 0
