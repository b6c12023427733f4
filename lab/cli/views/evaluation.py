"""Figures of an evaluation: beside the recorded ones, or over the episodes of an agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.console.tables import plain
from lab.runs.summary import Summary
from lab.statistics import Spread

if TYPE_CHECKING:
    from lab.capabilities import Episode  # imports PyTorch


def comparison(recorded: Summary, again: Summary, other: str = "") -> RenderableType:
    """Return the figures of an evaluation beside the recorded ones; `other` says with what else it was made."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("metric", "recorded", "now", ""):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for name, value in again.metrics.items():
        if name not in recorded.metrics:
            table.add_row(Text(plain(name)), "-", str(value), "not recorded")
            continue
        before = recorded.metrics[name]
        table.add_row(Text(plain(name)), str(before), str(value), "same" if before == value else "differs")
    if other:
        verdict = f"evaluated with {other}"
    elif recorded.agrees(again):
        verdict = "all figures are the same"
    else:
        verdict = (
            f"figures differ: recorded on {recorded.device} with torch {recorded.versions.get('torch')}, "
            f"now on {again.device}; device, threads and versions can each change the last digits"
        )
    return Group(Text(plain(f"{recorded.name}, run {recorded.run_id}"), style="bold"), table, Text(plain(verdict)))


def returns_table(
    record: Summary, checkpoint: str, spreads: Mapping[int, Spread], together: Spread, worst: Episode
) -> RenderableType:
    """Return a table of an agent's returns over each evaluation seed and over all of them.

    Args:
        record: the run.
        checkpoint: its name.
        spreads: of the returns, by evaluation seed.
        together: of all returns.
        worst: the episode with the lowest return.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("seed", "episodes", "mean", "std", "std error", "95 % of the mean", "min", "median", "max"):
        table.add_column(column, justify="right")
    rows = {str(seed): one for seed, one in spreads.items()} | ({"all": together} if len(spreads) > 1 else {})
    for name, one in rows.items():
        error = f"{one.standard_error:.3g}" if one.standard_error is not None else "-"
        interval = f"{one.low:.5g} to {one.high:.5g}" if one.low is not None else "-"
        figures = [f"{value:.5g}" for value in (one.min, one.median, one.max)]
        table.add_row(name, f"{one.n:,}", f"{one.mean:.5g}", f"{one.std:.4g}", error, interval, *figures)
    heading = f"{record.name}, run {record.run_id}, checkpoint {checkpoint}: returns of deterministic episodes"
    return Group(
        Text(plain(heading), style="bold"),
        table,
        Text(f"the lowest: {worst.total:g} in {worst.length:,} steps, from seed {worst.seed} of the environment"),
    )
