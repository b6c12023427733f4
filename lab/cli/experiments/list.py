"""`lab list`: the experiments by family and task, with their published figures."""

from __future__ import annotations

import argparse

from lab.cli.options import as_json
from lab.cli.output import print_json, stdout

SUMMARY = "list the experiments with their published figures"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help="only experiments that have all these words in their name, family, task, description, data set or classes",
    )
    as_json(parser)


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.config.listing import entries

    found = entries(options.words)
    if options.json:
        from dataclasses import asdict

        print_json([asdict(one) for one in found])
        return 0
    from lab.cli.views.experiments import experiments_table

    console = stdout()
    console.print(experiments_table(found, console.width))
    return 0
