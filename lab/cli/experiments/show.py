"""`lab show`: every setting of an experiment."""

from __future__ import annotations

import argparse

from lab.cli import options as shared

SUMMARY = "print an experiment's resolved config"
TAKES_OVERRIDES = True


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.experiment(parser)


def run(options: argparse.Namespace, rest: list[str]) -> int:
    import yaml

    from lab.configuration import load

    settings = load(options.name, rest).as_dict()
    print(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), end="")
    return 0
