"""Evaluating a run again, from what lies in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab import checkpoint, summary
from lab.config import load
from lab.devices import describe
from lab.encoders.pretrained import stand_in
from lab.errors import CheckpointError
from lab.experiment import RunContext
from lab.randomness import seed_everything
from lab.runner import prepare, timed
from lab.summary import Summary
from lab.tracking import Trackers


def evaluate(folder: Path, overrides: Mapping[str, Any] | Sequence[str] = ()) -> Summary:
    """Evaluate a finished run again, from its config and its checkpoints alone; nothing in its folder changes.

    Without overrides the figures are those of the run itself, on the same kind of device and versions. With them
    the evaluation can be another one: more episodes, more importance samples. Raises CheckpointError when there is
    no valid checkpoint, or it does not fit the settings.
    """
    record = summary.read_summary(folder)
    config = load(str(folder / "config.yaml"), overrides)
    with stand_in(folder / "encoder"):
        job = prepare(config, fast_dev_run=record.fast_dev_run)
    experiment, device = job.experiment, job.device
    states = {
        title: checkpoint.load(path).state
        for title in ("final", "best")
        if (path := folder / "checkpoints" / title).is_dir()
    }
    if "final" not in states:
        raise CheckpointError(f"{folder} has no final checkpoint: training did not finish; `lab resume` finishes it")
    try:
        experiment.load_states(states)
    except (RuntimeError, KeyError) as error:  # torch lists every key, line by line
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(f"the checkpoint in {folder} does not fit the settings: {reason}") from error
    seed_everything(record.seed)
    with timed(record, "evaluate"):
        context = RunContext(folder, record.seed, device, Trackers([]), record.fast_dev_run)
        record.metrics = summary.finite(experiment.evaluate(context))
    record.device = describe(device)
    return record
