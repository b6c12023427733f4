"""`lab run`: one run of an experiment, or with --seeds or --vary several at once."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lab.cli import options as shared
from lab.cli.output import loading, print_json, results, stderr
from lab.errors import ConfigError, Interrupted

if TYPE_CHECKING:
    from lab.runs.summary import Summary

SUMMARY = "run an experiment to its end"
TAKES_OVERRIDES = True


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.experiment(parser)
    parser.add_argument("--seeds", metavar="S", type=shared.seeds, help="one run per seed, as 0-4 or 0,1,2")
    parser.add_argument(
        "--vary",
        metavar="KEY=VALUES",
        action="append",
        default=[],
        help="one run per value, as seed=0-4 or trainer.optimizer.lr=1e-3,1e-4; several --vary: every combination",
    )
    parser.add_argument("--jobs", metavar="N", type=shared.count, help="runs at once (default: as the cores allow)")
    parser.add_argument("--fresh", action="store_true", help="run all again, also those that are complete")
    parser.add_argument(
        "--make-needed", action="store_true", help="first run the experiments and collect the data it needs"
    )
    shared.fast_dev_run(parser)
    shared.runs_dir(parser)
    shared.as_json(parser, "print the summary as the last line of stdout")


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.config.files import find

    find(options.name)  # an unknown name is refused before PyTorch is loaded
    if options.seeds or options.vary:
        return _several(options, rest)
    from lab.console.wording import word

    for name in ("jobs", "fresh"):
        if getattr(options, name):
            raise ConfigError(f"--{name} is for several runs: `lab run {word(options.name)} --seeds 0-4`")
    loading(options.name)
    from lab.runner import run as run_experiment

    summary = run_experiment(
        options.name,
        rest,
        runs_dir=options.runs_dir,
        fast_dev_run=options.fast_dev_run,
        make_needed=options.make_needed,
        trust=options.trust,
        announce=announce,
    )
    show(summary, options)
    return 0


def announce(record: Summary) -> None:
    """Say which run begins, to the terminal or to the process that shows this run's progress."""
    from lab.cli.views.panel import announcement
    from lab.console import progress
    from lab.console.notices import console

    console.print(announcement(record))
    if progress.listener:
        progress.listener({"folder": record.run_dir})


def show(record: Summary, options: argparse.Namespace) -> None:
    """Print the panel of a run that has ended, and with --json its summary."""
    from dataclasses import asdict

    from lab.cli.views.panel import next_steps, panel

    console = results(options)
    console.print(panel(record))
    for line in next_steps(record):
        console.print(line, soft_wrap=True)
    if options.json:
        print_json(asdict(record))


def _several(options: argparse.Namespace, rest: list[str]) -> int:
    """Run what is missing, and print the result of all; return the worst of their exit codes."""
    from lab.seeds.vary import SEED, read_vary
    from lab.tracking.destination import sweeping

    vary = read_vary(options.vary)
    if options.seed is not None and (options.seeds or SEED in vary):
        raise ConfigError("--seed is for one run and --seeds for several: choose one of them")
    if options.seeds and SEED in vary:
        raise ConfigError("--seeds 0-4 is --vary seed=0-4: choose one of them")
    if sweeping():
        raise ConfigError("a trial of a sweep is one run: leave out --seeds and --vary, and let the sweep vary them")
    if options.seeds:
        vary = {SEED: options.seeds, **vary}
    loading(options.name)
    from lab.cli.views.live import Display
    from lab.cli.views.several import trials_report
    from lab.seeds.run_varied import run_varied

    with Display() as display:
        try:
            found = run_varied(
                options.name,
                rest,
                vary=vary,
                runs_dir=options.runs_dir,
                fast_dev_run=options.fast_dev_run,
                jobs=options.jobs,
                fresh=options.fresh,
                make_needed=options.make_needed,
                trust=options.trust,
                watch=display,
            )
        except Interrupted:
            stderr().print("the same command goes on with the runs that are not complete")
            raise
    results(options).print(trials_report(found))
    if options.json:
        print_json(found.as_dict())
    return found.exit_code
