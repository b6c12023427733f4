"""`lab compile`: what an agent computes as machine code, for all later runs."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from contextlib import suppress

from lab.cli import options as shared
from lab.cli.output import loading, print_line, say

SUMMARY = "compile an agent's tensor operations ahead of time, which makes later runs faster"
EPILOG = (
    "Later runs of the same agent find the programs in your cache folder and use them from the first step. Their "
    "results differ from those of PyTorch's operations by rounding."
)
TAKES_OVERRIDES = True
OLD = 3600  # seconds after which nothing is being written to a file any more


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.experiment(parser)
    parser.add_argument("--seconds", metavar="S", default="10", help="time to measure what is gained (default: 10)")
    parser.add_argument("--aside", action="store_true", help=argparse.SUPPRESS)  # see agents.aside


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.cli.experiments.doctor import seconds_of
    from lab.config.files import find
    from lab.console.wording import count, near, size
    from lab.errors import EnvironmentFailedError

    find(options.name)
    seconds = seconds_of(options.seconds)
    loading(options.name)
    from agents.compiled.made import Maker, require_compiler
    from agents.compiled.packages import folder
    from agents.gain import gain

    require_compiler()
    if options.aside:
        return _aside(options, rest)
    with Maker(say) as maker:
        found = gain(options.name, rest, maker, seconds=seconds, trust=options.trust, say=say)
    if maker.made and all(one.size is None for one in maker.made):
        raise EnvironmentFailedError(f"no program could be compiled: {maker.made[0].problem}")
    for one in maker.made:
        told = f"{size(one.size)}, {one.seconds:.0f} s" if one.size is not None else f"not compiled: {one.problem}"
        print_line(f"{one.what}: {told}")
    if not found.used:
        print_line("none of this agent's operations can be compiled; it runs as before")
        return 0
    if not maker.made:
        print_line("nothing to compile: all programs are there")
    print_line(
        f"{count(found.used, 'program')} in {near(folder())}: training is {found.tried.gain:.2f} times as fast, "
        f"{found.tried.before:,.0f} -> {found.tried.after:,.0f} env steps/s"
    )
    return 0


def _aside(options: argparse.Namespace, rest: list[str]) -> int:
    """Compile what is missing at low priority, unless another process does; measure nothing."""
    from filelock import FileLock, Timeout

    from agents.compiled.made import Maker
    from agents.compiled.packages import UNFINISHED, folder
    from agents.gain import compiled
    from lab.configuration import load

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what is half done is removed
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    with suppress(AttributeError):  # Windows has no nice
        os.nice(19)
    config = load(options.name, rest, trust=options.trust)
    lock = FileLock(folder() / ".lock", timeout=0)
    with suppress(Timeout), lock:
        for left in folder().glob(UNFINISHED):
            with suppress(FileNotFoundError):  # it has just got its name
                if time.time() - left.stat().st_mtime > OLD:  # by a process that was killed
                    left.unlink()
        with Maker(say) as maker, compiled(config, maker):
            pass
    return 0


def _end_with_the_run() -> None:
    """End this process and its compiler when the pipe that the run holds is closed."""
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGTERM)
