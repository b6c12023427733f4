"""Which runs a mean is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from lab.runs.designs import kind
from lab.runs.readings import seed_of
from lab.runs.select import Run

LONGEST = 80  # characters of a status


def counted(runs: Iterable[Run], score: Callable[[Run], float | None]) -> list[Run]:
    """Return the runs that count, by their seeds: the newest of each seed and config that is completed and has a finite
    score. Fast-dev runs never do."""
    fit = sorted((run for run in runs if not unfit(run, score(run))), key=lambda run: run.record.run_id)
    alike = Counter((run.record.name, seed_of(run)) for run in fit)
    newest: dict[Any, Run] = {}
    for run in fit:
        which = run.record.name, seed_of(run)
        newest[(*which, kind(run) if alike[which] > 1 else None)] = run  # a config is read where it decides
    return sorted(newest.values(), key=lambda run: (seed_of(run), run.record.run_id))


def unfit(run: Run, score: float | None) -> str:
    """Why a run cannot count, in words; empty where it can."""
    if run.record.fast_dev_run:
        return "made with --fast-dev-run"
    if run.status != "completed":
        return "still running" if run.status == "running" else str(run.status)[:LONGEST]
    return "without a finite figure" if score is None else ""
