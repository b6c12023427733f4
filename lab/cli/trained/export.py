"""`lab export`: write what a run trained as a file for another library."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli import options as shared
from lab.cli.output import named_after, print_line
from lab.cli.using import trained, using
from lab.errors import ConfigError
from lab.system.files import free_name

SUMMARY = "write a trained model or agent as a file for another library"
FORMATS = ("sb3", "onnx")


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.of_run(parser)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="onnx: for ONNX Runtime and others (needs the extra onnx); sb3: an agent for Stable-Baselines3 without "
        "the lab; default: by the ending of FILE, or what is usual for the kind of run",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="default: a new file in the working directory, named after the run"
    )


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.console.wording import near

    record, model = trained(options, "export")
    known = dict(model.export_formats)
    if options.format and options.format not in known:
        raise ConfigError(
            f"{record.run_id} is a {record.name}, which has no format {options.format}; it has {', '.join(known)}"
        )
    suffixes = [known[options.format]] if options.format else list(known.values())
    usual = Path(named_after(f"{record.name}-{record.run_id}") + suffixes[0])
    path = Path(options.output or free_name(usual)).absolute()
    if path.suffix not in suffixes:
        raise ConfigError(f"the file must end in {' or '.join(suffixes)}, received {options.output}")
    with using(record, options):
        notes = model.export(path)
    print_line(f"{near(path)}: computes what the {options.checkpoint or 'final'} checkpoint of {record.run_id} does")
    for note in notes:
        print_line(f"note: {note}")
    return 0
