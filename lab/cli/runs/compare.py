"""`lab runs --diff A B`: what differs between two runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli.output import print_json, say, stdout
from lab.runs.diff import diff_report, run_diff
from lab.runs.select import Run, find_run
from lab.runs.summary import read_summary


def compare(options: argparse.Namespace, folder: Path) -> int:
    """Print the settings, versions and metrics that differ."""
    a, b = (Run(read_summary(find_run(name, folder))) for name in options.diff)
    for run in (a, b):
        if not run.config:
            say(f"{run.record.dir}/config.yaml cannot be read: its settings are left out")
    found = run_diff(a, b)
    if options.json:
        print_json(found.as_dict())
    else:
        stdout().print(diff_report(found))
    return 0
