"""`lab list`: the experiments with their published references."""

from __future__ import annotations

import argparse
from typing import Any

from lab.cli.options import as_json
from lab.cli.output import print_json, stdout

SUMMARY = "list the experiments with their published references"


def add_options(parser: argparse.ArgumentParser) -> None:
    as_json(parser)


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.config import files
    from lab.console.tables import table

    rows = []
    for name, path in files.shipped().items():
        config = files.read(path)
        rows.append(
            {
                "name": name,
                "family": files.family(config),
                "description": config.get("description", ""),
                "reference": config.get("reference"),
            }
        )
    if options.json:
        print_json(rows)
        return 0
    told = [(row["name"], row["family"], row["description"], _reference(row)) for row in rows]
    stdout().print(table(("experiment", "family", "what", "reference"), told))
    return 0


def _reference(row: dict[str, Any]) -> str:
    found = row["reference"]
    return f"{found['metric']} {found['value']:g} ({found['source']})" if found else "no published figure"
