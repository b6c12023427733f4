"""`lab show`: every setting of an experiment or of a run, and with --explain what each means."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli import options as shared
from lab.cli.output import loading, print_yaml, stderr
from lab.errors import ConfigError

SUMMARY = "print an experiment's resolved config, or a run's"
TAKES_OVERRIDES = True


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME|FILE.yaml|RUN", help=f"an experiment, a config file, or {shared.RUN}")
    parser.add_argument("--seed", metavar="N", help="seed of everything random in the run")
    shared.device(parser)
    shared.trust(parser)
    parser.add_argument(
        "--explain",
        metavar="SETTING",
        nargs="?",
        const="",
        help="say what each setting means, its type, default and role; or those of one, as agent.gamma or agent",
    )
    shared.runs_dir(parser)


def run(options: argparse.Namespace, rest: list[str]) -> int:
    folder = _run_folder(options)
    if folder is None:
        if options.explain is not None:
            loading(options.name)
            from lab.cli.asked import explain

            explain(options.name, rest, options.explain)
            return 0
        from lab.configuration import load

        print_yaml(load(options.name, rest, trust=options.trust).as_dict())
        return 0
    if rest or options.explain is not None:
        raise ConfigError(
            f"{options.name} is a run: other settings and --explain are for experiments and config files, such as "
            f"{folder / 'config.yaml'}"
        )
    from lab.cli.views.panel import panel
    from lab.runs.select import Run
    from lab.runs.summary import read_summary

    found = Run(read_summary(folder))
    stderr().print(panel(found.record))
    if not found.config:
        raise ConfigError(f"{folder / 'config.yaml'} cannot be read")
    print_yaml(found.config)
    return 0


def _run_folder(options: argparse.Namespace) -> Path | None:
    """Return the folder of the run that NAME means; None where it is an experiment or a config file."""
    from lab.config.files import find
    from lab.config.shipped import shipped
    from lab.runs.select import find_run
    from lab.runs.summary import runs_folder

    if options.name in shipped() or options.name.endswith((".yaml", ".yml")):
        return None
    try:
        return find_run(options.name, runs_folder(options.runs_dir))
    except ConfigError:
        find(options.name)  # whose message names the nearest experiment
        raise
