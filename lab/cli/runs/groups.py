"""`lab runs --group-by`: one row per group of runs, with the mean of their results."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lab.cli.options import listed
from lab.cli.output import print_json, say, stdout
from lab.cli.views.groups import as_rows, groups_table
from lab.runs.fields import check
from lab.runs.groups import COLUMNS, by_fields
from lab.runs.order import best_first, in_order, sorted_by
from lab.runs.select import Run


def show_groups(options: argparse.Namespace, runs: Sequence[Run]) -> int:
    """Print the groups."""
    names = listed(options.group_by, "--group-by")
    check(names, runs)
    sort = (options.sort or "").removeprefix("-")
    ordered = in_order(runs, options.sort) if sort and sort not in COLUMNS else runs
    found = by_fields(ordered, names, options.best)
    if sort in COLUMNS:
        found = sorted_by(found, COLUMNS[sort], downwards=options.sort.startswith("-"))
    if options.best:
        found = best_first(found, lambda one: one.spread and one.spread.mean, options.best, runs, say)
    found = found[: options.limit]
    if options.json:
        print_json(as_rows(found))
    elif found:
        stdout().print(groups_table(found))
    return 0
