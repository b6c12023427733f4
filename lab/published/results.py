"""Runs that repeat the rows of a published table, and how they compare with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.config.files import read, setting
from lab.config.shipped import shipped
from lab.configuration import load
from lab.console.wording import shown
from lab.published.table import Row, Table, read_table, tables
from lab.runs.readings import number, unfit
from lab.runs.select import Run, flat
from lab.runs.summary import Verdict
from lab.tracking.redact import redact

LENGTHS = ("trainer.max_epochs", "trainer.max_steps")


@dataclass(frozen=True)
class Result:
    """A row of a table beside our run of it.

    Args:
        row: of the table.
        run: that repeats it; None where there is none.
        figure: ours; None where there is none.
        shorter: how the run was shorter than its experiment asks for, in words; empty where it was not.
        verdict: of our figure against the published one.
        reason: for the verdict, in words.
    """

    row: Row
    run: Run | None
    figure: float | None
    shorter: str
    verdict: Verdict
    reason: str

    @property
    def difference(self) -> float | None:
        """Our figure minus the published one."""
        return None if self.figure is None else self.figure - self.row.value

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        record = self.run.record if self.run else None
        return {
            "row": self.row.name,
            "experiment": self.row.experiment,
            "published": self.row.value,
            "ours": self.figure,
            "difference": self.difference,
            "verdict": self.verdict,
            "reason": self.reason,
            "budget": self.shorter or "full",
            "run": record.run_id if record else None,
            "seed": record.seed if record else None,
            "train_seconds": record.durations.get("train") if record else None,
            "device": record.device if record else None,
            "threads": record.threads if record else None,
        }


def result(table: Table, row: Row, run: Run | None) -> Result:
    """Return a row beside a run of it, or beside none."""
    if run is None or run.status != "completed":
        return Result(row, run, None, "", "none", "no completed run")
    figure, shorter = number(run.record.metrics.get(table.metric)), shortened(row, run)
    if why := unfit(run, figure):
        return Result(row, run, figure, shorter, "not-comparable", f"the run is {why}")
    assert figure is not None
    if table.differs or shorter or run.record.dataset.get("fallback"):
        why = table.differs or shorter or str(run.record.dataset["fallback"])
        return Result(row, run, figure, shorter, "not-comparable", why)
    short = row.value - figure if table.direction == "max" else figure - row.value
    if short <= 0:
        return Result(row, run, figure, "", "met", f"{shown(figure)}, published {shown(row.value)}")
    return Result(row, run, figure, "", "missed", f"{shown(figure)}, {shown(short)} short of {shown(row.value)}")


def results(table: Table, runs: Iterable[Run], rows: Sequence[Row] = ()) -> list[Result]:
    """Return each row beside the run of it that says most: trained in full before shortened, from scratch before as
    a fork, longer before shorter, and of those the newest."""
    runs = [run for run in runs if run.record.mine and not run.record.fast_dev_run]
    found = []
    for row in rows or table.rows:
        fitting = [one for run in runs if repeats(row, run) and (one := result(table, row, run)).figure is not None]
        best = max(fitting, key=_worth, default=None)
        found.append(best or result(table, row, None))
    return found


def repeated(runs: Sequence[Run]) -> list[tuple[Table, list[Result]]]:
    """Return the published tables of which at least one row is repeated by one of these runs."""
    names = {run.record.name for run in runs}
    found = []
    for name in tables():
        table = read_table(name)
        if names & {row.experiment for row in table.rows}:  # resolving a row's settings imports PyTorch
            beside = results(table, runs)
            if any(one.run is not None for one in beside):
                found.append((table, beside))
    return found


def repeats(row: Row, run: Run) -> bool:
    """Whether a run has the settings of a row, whatever its seed, its length and its machine."""
    if run.record.name != row.experiment:
        return False
    roles, wanted = run.roles, settings_of(row)
    left_out = {*roles.repeats, *roles.budget, *roles.indifferent, *LENGTHS, "name", "description"}
    had = flat(run.config)
    return all(
        wanted.get(name) == had.get(name)
        for name in wanted.keys() | had.keys()
        if not any(name == one or name.startswith(f"{one}.") for one in left_out)
    )


def settings_of(row: Row) -> Mapping[str, Any]:
    """Return the resolved settings of a row, by dotted name."""
    return flat(redact(load(row.experiment, dict(row.settings)).as_dict()))


def shortened(row: Row, run: Run) -> str:
    """Return how a run was shorter than its row asks for, in words; empty where it was not.

    Lengths in steps and in epochs do not compare: such a run counts as shorter.
    """
    wanted = _lengths(read(shipped()[row.experiment]), row.settings)
    had = {name: run.value(name) for name in LENGTHS}
    given = {name: length for name, length in had.items() if length is not None}
    as_long = given and all(wanted[name] is not None and length >= wanted[name] for name, length in given.items())
    if had == wanted or as_long:
        return ""
    return f"a shortened budget: {_told(had)} of {_told(wanted)}"


def _lengths(config: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings.get(name, setting(config, name)) for name in LENGTHS}


def _told(lengths: Mapping[str, Any]) -> str:
    told = [f"{value:,} {name.rpartition('_')[2]}" for name, value in lengths.items() if value is not None]
    return " and ".join(told) or "10 epochs"


def _worth(one: Result) -> tuple[bool, bool, float, str]:
    assert one.run is not None
    record = one.run.record
    return not one.shorter, record.parent is None, float(record.durations.get("train") or 0), record.run_id
