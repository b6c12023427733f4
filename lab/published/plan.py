"""With which settings a row of a published table is run, so that it takes the minutes that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab.configuration import load
from lab.doctor import timed
from lab.errors import ConfigError
from lab.published.results import LENGTHS, repeats, shortened
from lab.published.table import Row
from lab.runs.readings import number
from lab.runs.select import Run
from lab.runs.summary import local_runs

TIMED = 5.0  # seconds of training by which the length of a row is chosen
ROUNDED = 100  # steps
NEAR = (0.5, 1.5)  # times the budget: a run that trained for so long, or has so many steps, had this budget
UNFINISHED = ("running", "interrupted", "killed")
MINUTE = 60


def planned(
    row: Row, *, minutes: float | None, seed: int, runs: Path, say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Return the settings of a row, the seed aside.

    Args:
        row: of a table.
        minutes: of training; None for as long as its experiment trains. Fewer give a number of optimizer steps: that of
            a completed run which had about this budget, or else by a measurement of some seconds on this machine, or
            that of an unfinished run which takes about as long.
        seed: of the run.
        runs: folder of all runs.
        say: called with a line before the measurement.

    Raises ConfigError for settings that are wrong, and for minutes where the experiment cannot be shortened.
    """
    settings = dict(row.settings)
    if minutes is None:
        return settings
    before = list(_runs_of(row, seed, runs))
    for run in before:
        if run.status == "completed" and not shortened(row, run):
            return settings
        if run.status == "completed" and _is_near(float(run.record.durations.get("train") or 0), minutes * MINUTE):
            return settings | _lengths(run)
    say(f"{row.name}: measuring how long a step takes")
    budget = _budget(row, minutes, settings)
    for run in before if budget else ():
        begun = run.status in UNFINISHED and shortened(row, run)
        if begun and _is_near(_steps(run), budget["trainer.max_steps"]):
            return settings | _lengths(run)
    return settings | budget


def _runs_of(row: Row, seed: int, runs: Path) -> Iterator[Run]:
    """Yield the user's own runs of a row, the newest first."""
    for record in reversed(list(local_runs(runs))):
        fits = record.name == row.experiment and record.seed == seed and record.mine and not record.fast_dev_run
        if fits and record.parent is None and repeats(row, run := Run(record)):
            yield run


def _is_near(had: float, wanted: float) -> bool:
    low, high = NEAR
    return low * wanted <= had <= high * wanted


def _steps(run: Run) -> float:
    """The optimizer steps that a run was given; 0 where it was given epochs."""
    epochs, steps = (run.value(name) for name in LENGTHS)
    return number(steps) or 0 if epochs is None else 0


def _lengths(run: Run) -> dict[str, Any]:
    return {name: run.value(name) for name in LENGTHS}


def _budget(row: Row, minutes: float, settings: dict[str, Any]) -> dict[str, Any]:
    """The steps that the machine makes in these minutes; empty where the row needs no more."""
    with timed(load(row.experiment, settings)) as (job, turn):
        if not set(LENGTHS) <= set(job.experiment.lengths):
            raise ConfigError(f"{row.experiment} has no {' or '.join(LENGTHS)}, and cannot be given minutes")
        trainer = job.config.as_dict().get("trainer") or {}
        rate = turn(TIMED).rate / (trainer.get("accumulate") or 1)
        steps = max(ROUNDED, round(rate * minutes * MINUTE / ROUNDED) * ROUNDED)
        whole = job.experiment.total_steps
    return {} if whole is not None and steps >= whole else {"trainer.max_epochs": None, "trainer.max_steps": steps}
