"""`lab export`: write a trained agent as a file for another library."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli import options as shared
from lab.cli.output import loading
from lab.errors import ConfigError

SUMMARY = "write a trained agent as a file for another library"


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.of_run(parser)
    parser.add_argument("--format", choices=("sb3",), default="sb3", help="sb3: for Stable-Baselines3 without the lab")
    parser.add_argument(
        "-o", "--output", metavar="FILE.zip", help="default: in the working directory, named after the run"
    )


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.console.wording import near
    from lab.runs.summary import find_run, runs_folder

    folder = find_run(options.run, runs_folder(options.runs_dir))
    title = shared.checkpoint(options.checkpoint, folder)
    loading(options.run)
    from lab.evaluation import trained_agent

    settings = [f"--device={options.device}"] if options.device else []
    what = "only agents can be exported to Stable-Baselines3"
    record, agent = trained_agent(folder, settings, title=title, what=what)
    path = Path(options.output or f"{record.name}-{record.run_id}.zip").absolute()
    if path.suffix != ".zip":
        raise ConfigError(f"Stable-Baselines3 reads files that end in .zip, received {options.output}")
    notes = agent.export(path)
    print(f"{near(path)}: acts as the {title} checkpoint of {record.run_id} does")
    for note in notes:
        print(f"note: {note}")
    return 0
