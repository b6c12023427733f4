"""`lab sync`: send runs that were recorded offline to Weights & Biases."""

from __future__ import annotations

import argparse

from lab.cli import options as shared
from lab.cli.output import say

SUMMARY = "send offline runs to Weights & Biases; rows that it has are not sent again"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="*", help=f"{shared.RUN} (default: every run not sent yet)")
    shared.runs_dir(parser)


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.runs.summary import find_run, local_runs, runs_folder
    from lab.tracking.destination import require_key
    from lab.tracking.sync import send, unsent

    runs = runs_folder(options.runs_dir)
    named = [find_run(name, runs) for name in options.runs]
    require_key()
    folders = named or [record.dir for record in unsent(local_runs(runs))]
    failures = send(folders, say=say, sent=print)
    if not folders:
        print(f"there is nothing to send from {runs}: each run was sent already or was recorded with W&B disabled")
    return 1 if any(failures) else 0
