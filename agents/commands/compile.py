"""`lab compile`: what an agent computes as machine code, for all later runs."""

from __future__ import annotations

import argparse

from lab.cli import options as shared
from lab.cli.output import loading, print_line, say

SUMMARY = "compile an agent's tensor operations ahead of time, which makes later runs faster"
EPILOG = (
    "Later runs of the same agent find the programs in your cache folder and use them from the first step. Their "
    "results differ from those of PyTorch's operations by rounding."
)
TAKES_OVERRIDES = True


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.experiment(parser)
    parser.add_argument("--seconds", metavar="S", default="10", help="time to measure what is gained (default: 10)")


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.cli.experiments.doctor import seconds_of
    from lab.config.files import find
    from lab.console.wording import count, near, size

    find(options.name)
    seconds = seconds_of(options.seconds)
    loading(options.name)
    from agents.acceleration.made import Maker, require_compiler
    from agents.acceleration.packages import folder
    from agents.gain import gain

    require_compiler()
    with Maker(say) as maker:
        found = gain(options.name, rest, maker, seconds=seconds, trust=options.trust, say=say)
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
