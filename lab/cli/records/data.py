"""`lab data`: the data sets, where they lie, and their download."""

from __future__ import annotations

import argparse
from typing import Any

from lab.cli.options import as_json
from lab.cli.output import print_json, say, stdout
from lab.errors import ConfigError

SUMMARY = "list the data sets, or download them"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("list", "fetch"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="data sets to fetch (default: all)")
    as_json(parser)


def run(options: argparse.Namespace, rest: list[str]) -> int:
    if options.what == "fetch":
        return _fetch(options.names)
    if options.names:
        raise ConfigError("`lab data list` takes no names")
    return _list(options)


def _fetch(names: list[str]) -> int:
    from lab.data.archive import members
    from lab.data.catalog import entries, lookup
    from lab.data.download import fetch

    for name in names or entries():
        dataset = lookup(name)
        fetch(dataset, announce=say)
        if dataset.archive:
            members(dataset, announce=say)
        print(f"{name}: {dataset.folder}, verified" if dataset.remote else f"{name}: comes with {dataset.package}")
    return 0


def _list(options: argparse.Namespace) -> int:
    from lab.console.tables import table
    from lab.console.wording import size
    from lab.data.catalog import data_dir, entries

    rows: list[dict[str, Any]] = [
        {
            "name": dataset.name,
            "title": dataset.title,
            "size": dataset.size,
            "licence": dataset.licence,
            "folder": str(dataset.folder) if dataset.remote else None,
            "present": dataset.present(),
            "package": dataset.package or None,
        }
        for dataset in entries().values()
    ]
    if options.json:
        print_json(rows)
        return 0
    told = [
        (row["name"], row["title"], size(row["size"]) if row["size"] else "-", row["licence"], _where(row))
        for row in rows
    ]
    stdout().print(table(("data set", "what", "size", "licence", "where"), told))
    print(f"data folder: {data_dir()} (set LAB_DATA_DIR to change it)")
    return 0


def _where(row: dict[str, Any]) -> str:
    if row["folder"] is None:
        return f"comes with {row['package']}"
    if row["present"]:
        return str(row["folder"])
    return f"not here; `lab data fetch {row['name']}` downloads it to {row['folder']}"
