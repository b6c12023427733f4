"""`lab verify`: kill and resume an experiment, and compare it with a run that was left alone."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from lab.cli import options as shared
from lab.cli.output import loading, print_line, say
from lab.errors import ConfigError

SUMMARY = "kill and resume an experiment, and check that the result is the same"
TAKES_OVERRIDES = True


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.experiment(parser)
    parser.add_argument("--kills", metavar="N", default="5", help="times to kill it at a random moment (default: 5)")
    shared.fast_dev_run(parser)
    shared.runs_dir(parser)


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.config.files import find
    from lab.runs.summary import runs_folder

    find(options.name)
    if not options.kills.isdigit() or int(options.kills) < 1:
        raise ConfigError(f"--kills must be a number from 1 on, received {options.kills!r}")
    loading(options.name)
    from lab.configuration import load
    from lab.needs import needs_of
    from lab.saving.verify import verify
    from lab.system.signals import signals_as_exceptions

    config = load(options.name, rest, trust=options.trust)  # a wrong setting is refused before anything is started
    runs = runs_folder(options.runs_dir)
    # The runs of the check lie in a folder of their own, where no artifacts of others are.
    needs = needs_of(config, runs, fast_dev_run=options.fast_dev_run, trust=options.trust)
    needed = [f"--{need.key}={need.folder}" for need in needs]
    runs.mkdir(parents=True, exist_ok=True)
    with signals_as_exceptions():
        found = verify(
            options.name,
            [*rest, *needed],
            kills=int(options.kills),
            folder=Path(tempfile.mkdtemp(prefix=".verify-", dir=runs)),
            fast_dev_run=options.fast_dev_run,
            trust=bool(options.trust),
            say=say,
        )
    exact, reason = (found.undisturbed.resume.get(key) for key in ("exact", "reason"))
    if found.differences:
        print_line(f"DIFFERENT after {found.kills} kills: {found.differences[0]}")
        print_line(f"{len(found.differences)} differences in all; both runs are kept in {found.folder}")
    elif not found.resumed:
        print_line(
            f"UNDECIDED: none of {found.kills} kills fell after a checkpoint, so no run was resumed from one; use more "
            "--kills, or save more often with --checkpoint.steps"
        )
    else:
        print_line(f"EXACT after {found.kills} kills in {found.runs} run{'s' if found.runs > 1 else ''}")
    if not exact:
        print_line(f"the run itself says that it cannot be resumed exactly: {reason}")
    return 1 if found.differences or not found.resumed else 0
