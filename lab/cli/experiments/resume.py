"""`lab resume`: go on with a run that was killed or interrupted, or train a finished one longer."""

from __future__ import annotations

import argparse

from lab.cli import options as shared
from lab.cli.experiments.run import announce, show
from lab.cli.output import loading

SUMMARY = "go on with a run that was killed or interrupted"
TAKES_OVERRIDES = True


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", nargs="?", help=f"{shared.RUN} (default: the newest unfinished run)")
    parser.add_argument("--force", action="store_true", help="with other settings (a new run) or versions (inexact)")
    shared.runs_dir(parser)
    shared.trust(parser)
    shared.as_json(parser, "print the summary as the last line of stdout")


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.runs.select import find_run, newest_unfinished
    from lab.runs.summary import runs_folder

    runs = runs_folder(options.runs_dir)
    folder = newest_unfinished(runs) if options.run is None else find_run(options.run, runs)
    loading("resume")
    from lab.resuming import resume

    again = resume(folder, rest, force=options.force, trust=options.trust, runs_dir=options.runs_dir, announce=announce)
    show(again, options)
    return 0
