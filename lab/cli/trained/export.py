"""`lab export`: write a trained agent as a file for another library."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli import options as shared
from lab.cli.output import named_after, print_line
from lab.cli.using import trained, using
from lab.errors import ConfigError
from lab.system.files import free_name

SUMMARY = "write a trained agent as a file for another library"


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.of_run(parser)
    parser.add_argument("--format", choices=("sb3",), default="sb3", help="sb3: for Stable-Baselines3 without the lab")
    parser.add_argument(
        "-o", "--output", metavar="FILE.zip", help="default: a new file in the working directory, named after the run"
    )


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.console.wording import near

    record, model = trained(options, "export")
    suffixes = [f".{suffix}" for suffix in model.export_formats]
    usual = Path(named_after(f"{record.name}-{record.run_id}") + suffixes[0])
    path = Path(options.output or free_name(usual)).absolute()
    if path.suffix not in suffixes:
        raise ConfigError(f"the file must end in {' or '.join(suffixes)}, received {options.output}")
    with using(record, options):
        notes = model.export(path)
    print_line(f"{near(path)}: acts as the {options.checkpoint or 'final'} checkpoint of {record.run_id} does")
    for note in notes:
        print_line(f"note: {note}")
    return 0
