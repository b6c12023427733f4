"""What each `lab` command does. Heavy imports happen inside, when a command needs them."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from lab.errors import ConfigError, nearest


def list_(options: argparse.Namespace, rest: list[str]) -> int:
    """Print the experiments with their published references."""
    from lab.config import files as config_files
    from lab.console.tables import table

    rows = []
    for name, path in config_files.shipped().items():
        config = config_files.read(path)
        rows.append(
            {
                "name": name,
                "family": config_files.family(config),
                "description": config.get("description", ""),
                "reference": config.get("reference"),
            }
        )
    if options.json:
        print(json.dumps(rows))
        return 0

    def reference(row: dict[str, Any]) -> str:
        found = row["reference"]
        return f"{found['metric']} {found['value']:g} ({found['source']})" if found else "no published figure"

    told = [(row["name"], row["family"], row["description"], reference(row)) for row in rows]
    stdout().print(table(("experiment", "family", "what", "reference"), told))
    return 0


def show(options: argparse.Namespace, rest: list[str]) -> int:
    """Print the resolved config."""
    import yaml

    from lab.configuration import load

    print(
        yaml.safe_dump(load(options.name, overrides_of(options, rest)).as_dict(), sort_keys=False, allow_unicode=True),
        end="",
    )
    return 0


def data(options: argparse.Namespace, rest: list[str]) -> int:
    """List the data sets, or fetch some."""
    from lab.console.tables import table
    from lab.data.catalog import CATALOG, data_dir, fetch

    if options.what == "fetch":
        for name in options.names or CATALOG:
            files = fetch(name, announce=lambda line: print(f"lab: {line}", file=sys.stderr))
            print(f"{name}: {next(iter(files.values())).parent if files else 'comes with scikit-learn'}, verified")
        return 0
    if options.names:
        raise ConfigError("`lab data list` takes no names")
    rows = [
        {
            "name": dataset.name,
            "title": dataset.title,
            "size": dataset.size,
            "licence": dataset.licence,
            "folder": str(dataset.folder) if dataset.files else None,
            "present": dataset.present(),
        }
        for dataset in CATALOG.values()
    ]
    if options.json:
        print(json.dumps(rows))
        return 0

    def where(row: dict[str, Any]) -> str:
        if row["folder"] is None:
            return "comes with scikit-learn"
        return (
            row["folder"]
            if row["present"]
            else f"not here; `lab data fetch {row['name']}` puts it into {row['folder']}"
        )

    def size(row: dict[str, Any]) -> str:
        return f"{row['size'] / 1e6:.1f} MB" if row["size"] else "-"

    told = [(row["name"], row["title"], size(row), row["licence"], where(row)) for row in rows]
    stdout().print(table(("data set", "what", "size", "licence", "where"), told))
    print(f"data folder: {data_dir()} (set LAB_DATA_DIR to change it)")
    return 0


def overrides_of(options: argparse.Namespace, rest: list[str]) -> list[str]:
    """Overrides for the config: what `lab` itself did not take, and --seed and --device, which are settings too."""
    own = ["--seed", "--device", "--fast-dev-run", "--runs-dir", "--json", "--config"]
    for word in rest:
        if word.startswith("--config="):
            raise ConfigError("--config is not an option: name the file instead of the experiment, or use extends")
        name = word.partition("=")[0]
        if "_" in name and (option := name.replace("_", "-")) in own:
            raise ConfigError(f"unknown option {word}; did you mean {option!r}?")
        if word.startswith("--") and "=" not in word and "." not in word:
            if word in own:
                raise ConfigError(f"`lab {options.command}` does not take {word}")
            if hint := nearest(word, own):
                raise ConfigError(f"unknown option {word}{hint}")
    settings = {name: getattr(options, name, None) for name in ("seed", "device")}
    return [*rest, *(f"--{name}={value}" for name, value in settings.items() if value is not None)]


def stdout() -> Any:
    """The console for results."""
    from rich.console import Console

    # Where output goes to a file or a pipe there is no width to respect.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def stderr() -> Any:
    """The console for everything else."""
    from lab.console.progress import console

    return console
