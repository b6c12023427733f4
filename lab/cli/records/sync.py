"""`lab sync`: send runs that were recorded offline to Weights & Biases."""

from __future__ import annotations

import argparse

from lab.cli import options as shared
from lab.cli.output import print_line, say

SUMMARY = "send offline runs to Weights & Biases; rows that it has are not sent again"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="*", help=f"{shared.RUN} (default: every run not sent yet)")
    shared.runs_dir(parser)
    parser.add_argument(
        "--trust",
        action="store_const",
        const=True,
        help="send somebody else's runs as your own, under the ids that they have; without it they get new ones",
    )


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.console.wording import count
    from lab.runs.select import find_run, is_own_run
    from lab.runs.summary import local_runs, runs_folder
    from lab.tracking.destination import require_key
    from lab.tracking.sync import send, unsent

    runs = runs_folder(options.runs_dir)
    named = [find_run(name, runs) for name in options.runs]
    require_key()
    lacking = [] if named else list(unsent(local_runs(runs)))
    mine = [record.dir for record in lacking if options.trust or is_own_run(record)]
    if left_out := len(lacking) - len(mine):
        say(f"left out: {count(left_out, 'run')} not signed as yours; name one to send it under a new id")
    folders = named or mine
    failures = send(folders, say=say, sent=lambda address: print_line(str(address)), trust=options.trust)
    if not (folders or left_out):
        print_line(f"there is nothing to send from {runs}: each run was sent already or was recorded with W&B disabled")
    return 1 if any(failures) else 0
