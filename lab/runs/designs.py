"""What makes two runs the same experiment: the method, how long it trains, and how it is measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lab.runs.readings import number
from lab.runs.select import Run, flat

INDIFFERENT = (
    *("name", "description", "seed", "device", "threads", "checkpoint", "reference"),
    *("evaluation.video", "evaluation.video_every", "trainer.log_every", "trainer.pictures_every"),
    *("evaluation.every", "evaluation.best_episodes"),
    "env.timeout",
)
"""Settings, and all inside them, that make no other experiment of a run."""

BUDGET = {"total_timesteps": "steps", "trainer.max_epochs": "epochs"}
"""Settings that say how long to train, and their units."""

PROTOCOL = ("evaluation.episodes", "evaluation.max_steps", "model.nll_samples", "model.fid_samples")
"""Settings that say how the trained model is measured."""

TASK = ("env.kwargs", "env.wrappers")
"""Settings that make another task of an environment of the same name."""


def design(run: Run) -> tuple[tuple[str, str], ...]:
    """Everything that makes the method: the settings without those of budget and protocol, in one order. Null is as
    good as absent: early runs' files leave nulls out."""
    left_out = {*INDIFFERENT, *BUDGET, *PROTOCOL}
    if run.value("evaluation.stop_at") is not None:  # then the evaluations on the way say when training ends
        left_out -= {"evaluation.every", "evaluation.best_episodes"}
    settings = {name: value for name, value in flat(run.config).items() if not _under(name, left_out)}
    return tuple(sorted((name, repr(value)) for name, value in settings.items() if value is not None))


def budget(run: Run) -> tuple[tuple[str, Any], ...]:
    """How long the run was to train."""
    return tuple((name, value) for name in BUDGET if (value := number(run.value(name))) is not None)


def protocol(run: Run) -> tuple[tuple[str, str], ...]:
    """How the run was measured: the settings, the data's bytes, and the published figure with its metric."""
    settings = {name: run.value(name) for name in PROTOCOL}
    settings["data hash"] = str(run.record.dataset.get("sha256") or "")[:12] or None
    reference = run.record.reference
    settings |= {f"reference.{name}": reference.get(name) for name in ("metric", "value", "direction", "tolerance")}
    return tuple((name, str(value)) for name, value in settings.items() if value is not None)


def differing(runs: Iterable[Run]) -> list[str]:
    """Names of the settings of method, budget and protocol in which the runs differ."""
    everything = [dict((*design(run), *budget(run), *protocol(run))) for run in runs]
    names = dict.fromkeys(name for settings in everything for name in settings)
    return [name for name in names if len({repr(settings.get(name)) for settings in everything}) > 1]


def kind(run: Run) -> tuple[Any, ...]:
    """What is the same in runs that only differ in their seeds and machines."""
    return design(run), budget(run), protocol(run)


def _under(name: str, names: Iterable[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in names)
