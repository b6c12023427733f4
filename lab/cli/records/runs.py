"""`lab runs`: the recorded runs, beside each other, compared, exported or removed. Nothing here needs PyTorch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli import options as shared
from lab.cli.parser import Parser
from lab.cli.runs import rules
from lab.system.lazy import uncollected

if TYPE_CHECKING:
    from lab.runs.select import Run

SUMMARY = "list recorded runs, compare, export or remove them"
EPILOG = "`lab runs rm RUN|EXPERIMENT|GLOB ...` removes runs."


def add_options(parser: Parser) -> None:
    parser.add_argument("names", metavar="RUN|EXPERIMENT|GLOB", nargs="*", help=f"{shared.RUNS} (default: all runs)")
    parser.add_argument("--where", metavar="COND", help="as 'eval/return>400 and seed<3'; < <= > >= = != ~ and or not")
    parser.add_argument("--sort", metavar="FIELD", help="a metric, setting or field of the summary; -FIELD: descending")
    parser.takes_dash.add("--sort")
    parser.add_argument("--best", metavar="METRIC", help="the best runs first")
    parser.add_argument("--limit", metavar="N", type=shared.count, help="the first N only")
    parser.add_argument("--columns", metavar="FIELD,...", help=f"what to show (default: {','.join(rules.COLUMNS)})")
    parser.add_argument("--group-by", metavar="FIELD,...", help="one row per group, with the mean over its runs")
    parser.add_argument("--diff", metavar=("A", "B"), nargs=2, help="two runs side by side")
    parser.add_argument("--export", choices=("csv",), help="every field, metric and setting of each run")
    parser.add_argument("-o", "--output", metavar="FILE", help="where --export writes (default, and -: stdout)")
    parser.add_argument("--yes", action="store_true", help="with rm: do not ask")
    parser.add_argument("--force", action="store_true", help="with rm: also damaged runs, and runs that others need")
    parser.add_argument("--watch", action="store_true", help="print it again every two seconds, until Ctrl-C")
    shared.runs_dir(parser)
    shared.as_json(parser)


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.runs.summary import runs_folder

    rules.check(options)
    folder = runs_folder(options.runs_dir)
    if options.names[:1] == [rules.REMOVE]:
        from lab.cli.runs.remove import remove_runs

        return remove_runs(options, options.names[1:], folder)
    if options.diff:
        from lab.cli.runs.compare import compare

        return compare(options, folder)
    if options.watch:
        from lab.cli.runs.watch import watch

        return watch(lambda: _listed(options, folder))
    return _listed(options, folder)


def _listed(options: argparse.Namespace, folder: Path) -> int:
    with uncollected():
        if options.limit and not any(getattr(options, name) for name in rules.CHOOSING):
            from lab.cli.runs.listing import show_runs
            from lab.runs.select import first

            runs, of = first(options.limit, folder)
            return show_runs(options, runs, folder, of)
        from lab.cli.runs.choose import chosen

        found = chosen(options, options.names, folder)
        try:
            return _shown(options, found, folder)
        finally:
            if found and found[0].cache:
                found[0].cache.save()


def _shown(options: argparse.Namespace, found: list[Run], folder: Path) -> int:
    if options.group_by:
        from lab.cli.runs.groups import show_groups

        return show_groups(options, found)
    if options.export:
        from lab.cli.runs.export import export

        return export(options, found)
    from lab.cli.runs.listing import show_runs

    return show_runs(options, found, folder)
