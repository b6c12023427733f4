"""The `lab` command. Imports nothing heavy until a command needs it: `lab --help` and `lab list` answer at once."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from lab.errors import ConfigError, Interrupted, LabError, nearest


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 a check failed, 2 bad input, 3 diverged, 4 environment
    failed, 5 no valid checkpoint, 128+n ended by signal n."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options, rest = _parser().parse_known_args(words)
        if rest and options.command not in ("run", "show", "eval"):
            raise ConfigError(f"`lab {options.command}` does not take {rest[0]!r}")
        code: int = options.action(options, rest)
        sys.stdout.flush()
    except LabError as error:
        _say(f"error: {error}")
        return error.exit_code
    except (Interrupted, KeyboardInterrupt) as error:
        _say("interrupted: the run's summary is marked so, and what it recorded until here is kept")
        return getattr(error, "exit_code", 130)
    except BrokenPipeError:  # `lab list | head -1`: whoever read our output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _say(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise ConfigError(f"{message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="lab", description="Train, evaluate and compare the lab's experiments.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)

    def command(name: str, action: Any, summary: str, **more: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False, **more)
        sub.set_defaults(action=action)
        return sub

    def as_json(sub: argparse.ArgumentParser, what: str) -> None:
        sub.add_argument("--json", action="store_true", help=what)

    def runs_dir(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--runs-dir", metavar="DIR", help="folder of all runs (default: $LAB_RUNS_DIR, else ./runs)")

    overrides = "any other --a.b=value overrides that setting of the config; `lab show NAME` prints them all"
    as_json(command("list", _list, "the experiments with their published references"), "as JSON")
    for name, action, summary in (
        ("run", _run, "run an experiment to its end"),
        ("show", _show, "print an experiment's resolved config"),
    ):
        sub = command(name, action, summary, epilog=overrides)
        sub.add_argument("name", metavar="NAME|FILE.yaml", help="an experiment of `lab list`, or a config file")
        sub.add_argument("--seed", metavar="N", help="seed of everything random in the run")
        sub.add_argument("--device", metavar="D", help="auto, cpu, cuda or mps")
        if name == "run":
            sub.add_argument("--fast-dev-run", action="store_true", help="touch every stage, in seconds")
            runs_dir(sub)
            as_json(sub, "print the summary as the last line of stdout")
    sub = command("runs", _runs, "the runs on this machine")
    runs_dir(sub)
    as_json(sub, "as JSON")
    sub = command("eval", _eval, "evaluate a run again, from its checkpoint", epilog=overrides)
    sub.add_argument("--device", metavar="D", help="auto, cpu, cuda or mps")
    sub.add_argument(
        "run", metavar="RUN", help="a run folder, a run's id or its beginning, or an experiment (its newest run)"
    )
    runs_dir(sub)
    as_json(sub, "print the figures as the last line of stdout")
    data = command("data", _data, "the data sets: list them, or fetch one")
    data.add_argument("what", choices=("list", "fetch"))
    data.add_argument("names", nargs="*", metavar="NAME", help="data sets to fetch (default: all)")
    as_json(data, "as JSON")
    return parser


def _list(options: argparse.Namespace, rest: list[str]) -> int:
    from lab import config_files

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

    _table(rows, {"experiment": "name", "family": "family", "what": "description", "reference": reference})
    return 0


def _run(options: argparse.Namespace, rest: list[str]) -> int:
    from dataclasses import asdict

    from lab.panel import announcement, panel
    from lab.progress import console
    from lab.runner import run

    show = console.print if options.json else _stdout().print
    summary = run(
        options.name,
        _words(options, rest),
        runs_dir=options.runs_dir,
        fast_dev_run=options.fast_dev_run,
        announce=lambda record: console.print(announcement(record)),
    )
    show(panel(summary))
    if options.json:
        print(json.dumps(asdict(summary), allow_nan=False))
    if summary.wandb and summary.wandb["problem"]:
        sys.stdout.flush()
        os._exit(0)  # all is written; a W&B that hangs would hold up the interpreter's own exit for minutes
    return 0


def _show(options: argparse.Namespace, rest: list[str]) -> int:
    import yaml

    from lab.config import load

    print(
        yaml.safe_dump(load(options.name, _words(options, rest)).as_dict(), sort_keys=False, allow_unicode=True), end=""
    )
    return 0


def _runs(options: argparse.Namespace, rest: list[str]) -> int:
    from dataclasses import asdict

    from lab.summary import local_runs, runs_folder

    folder = runs_folder(options.runs_dir)
    runs = list(local_runs(folder))
    if options.json:
        print(json.dumps([asdict(run) for run in runs]))
        return 0
    if not runs:
        print(f"no runs in {folder} yet; start one with `lab run NAME`")
        return 0

    def result(run: dict[str, Any]) -> str:
        metric = run["reference"].get("metric") or next(iter(run["metrics"]), "")
        value = run["metrics"].get(metric)
        return f"{metric} {value:.5g}" if value is not None else ""

    _table(
        [asdict(run) for run in runs],
        {
            "run": "run_id",
            "experiment": "name",
            "status": "status",
            "seed": "seed",
            "result": result,
            "verdict": lambda run: run["reference"].get("verdict", "none"),
            "train": lambda run: f"{run['durations'].get('train', 0):.0f} s",
            "device": "device",
        },
    )
    return 0


def _eval(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.panel import comparison
    from lab.runner import evaluate
    from lab.summary import find_run, read_summary, runs_folder

    folder = find_run(options.run, runs_folder(options.runs_dir))
    words = _words(options, rest)
    recorded, again = read_summary(folder), evaluate(folder, words)
    (_stderr() if options.json else _stdout()).print(comparison(recorded, again))
    same = recorded.metrics == again.metrics
    if options.json:
        print(json.dumps({"run_id": again.run_id, "metrics": again.metrics, "same": same}, allow_nan=False))
    return 0 if same or words else 1


def _data(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.data.catalog import CATALOG, data_dir, fetch

    if options.what == "fetch":
        for name in options.names or CATALOG:
            files = fetch(name, announce=_say)
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

    _table(rows, {"data set": "name", "what": "title", "size": size, "licence": "licence", "where": where})
    print(f"data folder: {data_dir()} (set LAB_DATA_DIR to change it)")
    return 0


def _words(options: argparse.Namespace, rest: list[str]) -> list[str]:
    """Overrides for the config: what `lab` itself did not take, and --seed and --device, which are settings too."""
    for word in rest:
        if word.startswith("--") and "=" not in word and "." not in word:
            own = ["--seed", "--device", "--fast-dev-run", "--runs-dir", "--json"]
            if hint := nearest(word, own):
                raise ConfigError(f"unknown option {word}{hint}")
    settings = {name: getattr(options, name, None) for name in ("seed", "device")}
    return [*rest, *(f"--{name}={value}" for name, value in settings.items() if value is not None)]


def _stdout() -> Any:
    from rich.console import Console

    # Where output goes to a file or a pipe there is no width to respect.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def _stderr() -> Any:
    from lab.progress import console

    return console


def _table(rows: Sequence[dict[str, Any]], columns: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in columns:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(str(row[c]) if isinstance(c, str) else c(row) for c in columns.values()))
    _stdout().print(table)


if __name__ == "__main__":
    sys.exit(main())
