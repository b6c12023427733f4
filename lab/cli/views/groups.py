"""Groups of runs as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from lab.console.tables import table
from lab.console.wording import interval, ranges, size
from lab.runs.fields import as_text
from lab.runs.groups import Group

TITLES = ("runs", "seeds", "metric", "mean", "95 % of the mean", "interquartile mean", "disk")
PARTS = 6  # ranges of seeds that are shown


def groups_table(groups: Sequence[Group]) -> Table:
    """Return one row per group: its key, its runs and seeds, and the mean of their results with its 95 % interval."""
    rows = [[*(as_text(found) or "-" for found in one.key.values()), *_cells(one)] for one in groups]
    return table([*groups[0].key, *TITLES], rows, right=("runs", *TITLES[3:]))


def as_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Return the groups as plain values for JSON."""
    return [one.as_dict() for one in groups]


def _cells(group: Group) -> tuple[str, ...]:
    spread, middle, metrics = group.spread, group.interquartile_mean, group.metrics
    counted = len(group.counted)
    some = f"{counted:,} of " if len(metrics) == 1 and counted < len(group.runs) and not group.fast_dev else ""
    return (
        f"{some}{len(group.runs):,}{' fast-dev' if group.fast_dev else ''}",
        _seeds(group.seeds),
        metrics[0] if len(metrics) == 1 else " or ".join(metrics[:2]) + ", ..." * (len(metrics) > 2),
        f"{spread.mean:.5g}" if spread else "",
        interval(spread.low, spread.high) if spread else "",
        f"{middle:.5g}" if middle is not None else "",
        size(group.disk),
    )


def _seeds(seeds: Sequence[int]) -> str:
    parts = ranges(seeds).split(",")
    return ",".join(parts) if len(parts) <= PARTS else f"{','.join(parts[:PARTS])},... ({len(set(seeds))})"
