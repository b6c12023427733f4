"""`lab trust`: sign runs as one's own, so that they may name any class and path."""

from __future__ import annotations

import argparse

from lab.cli import options as shared
from lab.cli.output import say

SUMMARY = "sign somebody else's runs as your own; their configs may then name any class"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN|GLOB|FILE.yaml", nargs="+", help=f"{shared.RUNS}, or a config file")
    shared.runs_dir(parser)


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from pathlib import Path

    from lab.config.files import find
    from lab.console.wording import count, near
    from lab.runs.select import choose
    from lab.runs.summary import runs_folder
    from lab.trust.signing import sign_config, sign_run

    files = [find(name) for name in options.runs if name.endswith((".yaml", ".yml"))]
    names = [name for name in options.runs if not name.endswith((".yaml", ".yml"))]
    found = choose(names, runs_folder(options.runs_dir), by_folder=True) if names else []
    for file in files:
        sign_config(file)
        say(f"{near(file)} is signed as yours")
    for one in found:
        sign_run(Path(one.record.dir))
        say(f"{near(one.record.dir)} is signed as yours")
    parts = [count(len(some), what) for some, what in ((found, "run"), (files, "config file")) if some]
    say(f"signed as yours: {' and '.join(parts)}")
    return 0
