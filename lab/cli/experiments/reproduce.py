"""`lab reproduce`: the rows of a published table, run and set beside what was published."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli import options as shared
from lab.cli.output import loading, print_json, results, say, stdout, writing
from lab.errors import ConfigError, Interrupted

if TYPE_CHECKING:
    from lab.published.table import Table

SUMMARY = "run the rows of a published table, beside its figures"
EPILOG = "The same command goes on where it stopped: rows that were run are not run again."


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", nargs="?", help="its name (default: list the tables)")
    parser.add_argument("--rows", metavar="ROW", nargs="+", default=[], help="only rows whose name holds one of these")
    parser.add_argument(
        "--budget",
        metavar="MINUTES",
        type=_minutes,
        help="of training for each row (default: as long as its experiment trains); fewer give no verdict",
    )
    parser.add_argument("--seed", metavar="N", type=shared.seed, default=0, help="of all rows (default: 0)")
    parser.add_argument("-o", "--output", metavar="FILE.png", help="the picture (default: a new file, TABLE.png)")
    shared.fast_dev_run(parser)
    shared.runs_dir(parser)
    shared.as_json(parser)


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.published.table import read_table, tables
    from lab.system.files import free_name, write_atomic

    if options.table is None:
        _list([read_table(name) for name in tables()], options)
        return 0
    table = read_table(options.table)
    rows = table.chosen(options.rows)
    path = Path(options.output or free_name(Path(f"{table.name}.png")))
    if path.suffix != ".png":
        raise ConfigError(f"the picture is a .png, received {path}")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent} for the picture")
    loading(table.name)
    from lab.cli.views.live import Display
    from lab.cli.views.published import results_table
    from lab.cli.views.samples import png
    from lab.configuration import load
    from lab.console.wording import near
    from lab.published.drawing import draw
    from lab.published.plan import planned
    from lab.published.results import results as beside
    from lab.runs.select import Run
    from lab.runs.summary import local_runs, runs_folder
    from lab.seeds.run_varied import run_seeds

    runs = runs_folder(options.runs_dir)
    for row in rows:
        load(row.experiment, dict(row.settings))  # a mistake is found before anything is run
    codes = []
    for number, row in enumerate(rows, 1):
        say(f"row {number} of {len(rows)}: {row.name}, {row.experiment}")
        minutes = None if options.fast_dev_run else options.budget
        settings = planned(row, minutes=minutes, seed=options.seed, runs=runs, say=say)
        with Display() as display:
            try:
                trials = run_seeds(
                    row.experiment,
                    settings,
                    seeds=[options.seed],
                    runs_dir=runs,
                    fast_dev_run=options.fast_dev_run,
                    watch=display,
                )
            except Interrupted:
                say("the same command goes on with the rows that are not complete")
                raise
        codes.append(trials.exit_code)
    found = beside(table, (Run(one) for one in local_runs(runs) if one.seed == options.seed), rows)
    with writing(path):
        write_atomic(path, png(draw(table, found)))
    results(options).print(results_table(table, found))
    say(f"drawn in {near(path)}")
    if options.json:
        print_json({"table": table.name, "source": table.source, "rows": [one.as_dict() for one in found]})
    return max(codes)


def _list(known: list[Table], options: argparse.Namespace) -> None:
    from lab.console.tables import table as rows_of

    if options.json:
        print_json([{"name": one.name, "title": one.title, "rows": [row.name for row in one.rows]} for one in known])
        return
    stdout().print(rows_of(("table", "rows", "title"), [(one.name, len(one.rows), one.title) for one in known]))


def _minutes(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e5:
        raise argparse.ArgumentTypeError(f"expected minutes above 0, received {word!r}")
    return value
