"""`lab doctor`: where an experiment's time goes, and which settings were measured to make it faster."""

from __future__ import annotations

import argparse

from lab.cli import options as shared
from lab.cli.output import loading, say, stdout
from lab.errors import ConfigError

SUMMARY = "measure where a run's time goes and which settings make it faster"
TAKES_OVERRIDES = True
MOST_SECONDS = 3600


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.experiment(parser)
    parser.add_argument("--seconds", metavar="S", default="5", help="time for each setting (default: 5)")
    shared.runs_dir(parser)


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.config.files import find

    find(options.name)
    seconds = seconds_of(options.seconds)
    loading(options.name)
    from lab.cli.views.doctor import report
    from lab.doctor import diagnose

    found = diagnose(options.name, rest, seconds=seconds, runs_dir=options.runs_dir, trust=options.trust, say=say)
    stdout().print(report(found))
    return 0


def seconds_of(word: str) -> float:
    """Read a number of seconds. Raises ConfigError."""
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < MOST_SECONDS:
        raise ConfigError(
            f"--seconds must be a number of seconds above 0 and below {MOST_SECONDS:g}, received {word!r}"
        )
    return seconds
