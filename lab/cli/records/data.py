"""`lab data`: the data sets, where they lie, their download, and what is in one, or in the user's own files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lab.cli.options import as_json
from lab.cli.output import loading, print_json, print_line, say, stdout, writing
from lab.errors import ConfigError

SUMMARY = "list the data sets, download them, or show what is in one or in files of your own"
TAKES_OVERRIDES = True
EPILOG = "`lab data show` also takes settings of the data, such as --data.image_size=64."


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("list", "fetch", "show"))
    parser.add_argument(
        "names", nargs="*", metavar="DATA|PATH", help="data sets to fetch (default: all), or what to show"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE.png", help="picture that `show` writes (default: a new file, NAME-data.png)"
    )
    as_json(parser)


def run(options: argparse.Namespace, rest: list[str]) -> int:
    if options.what == "show":
        return _show(options, rest)
    if rest or options.output:
        raise ConfigError(f"`lab data {options.what}` does not take {rest[0] if rest else '--output'}")
    if options.what == "fetch":
        return _fetch(options.names)
    if options.names:
        raise ConfigError("`lab data list` takes no names")
    return _list(options)


def _show(options: argparse.Namespace, rest: list[str]) -> int:
    if len(options.names) != 1:
        raise ConfigError(f"`lab data show` takes one data set, file or folder, received {len(options.names)}")
    if options.output and Path(options.output).suffix.lower() != ".png":
        raise ConfigError(f"the picture is written as a file that ends in .png, received {options.output}")
    loading(options.names[0])
    from lab.cli.data.finding import find_data
    from lab.cli.data.pictures import picture
    from lab.cli.views.datasets import described, misfits, print_dataset
    from lab.cli.views.samples import png
    from lab.system.files import free_name, write_atomic

    found, reasons = find_data(options.names[0], rest)
    if options.json:
        told = [described(one) for one in found]
        print_json([{**each, "misfits": misfits(one, each["commands"])} for each, one in zip(told, found, strict=True)])
    else:
        for one in found:
            print_dataset(one)
        for reason in reasons:
            say(reason)
    drawn = None if options.json and not options.output else picture(found)
    if drawn is not None:
        path = Path(options.output or free_name(Path(f"{found[0].data.info.name}-data.png")))
        with writing(path):
            write_atomic(path, png(drawn))
        say(f"wrote {path}")
    elif options.output:
        say("there is no picture of such data")
    return 0


def _fetch(names: list[str]) -> int:
    from lab.data.archive import members
    from lab.data.catalog import entries, lookup
    from lab.data.download import fetch

    for name in names or entries():
        dataset = lookup(name)
        fetch(dataset, announce=say)
        if dataset.archive:
            members(dataset, announce=say)
        print_line(f"{name}: {dataset.folder}, verified" if dataset.remote else f"{name}: comes with {dataset.package}")
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
    print_line(f"data folder: {data_dir()} (set LAB_DATA_DIR to change it)")
    return 0


def _where(row: dict[str, Any]) -> str:
    if row["folder"] is None:
        return f"comes with {row['package']}"
    if row["present"]:
        return str(row["folder"])
    return f"not here; `lab data fetch {row['name']}` downloads it to {row['folder']}"
