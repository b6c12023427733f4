"""A job: a checked config and what was built from it, ready to train or to be evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lab.configuration import Config
from lab.errors import ConfigError
from lab.experiment import Experiment
from lab.needs import Need, provide
from lab.saving.saver import Cadence
from lab.system.devices import flush_denormals, keep_freed_memory, select_device, use_threads
from lab.system.randomness import seed_everything
from lab.tracking.redact import blanked

TOO_LARGE = ("can't allocate memory", "not enough memory", "out of memory", "Storage size calculation overflowed")
"""How torch says that memory is lacking."""


@dataclass(frozen=True)
class Job:
    """Everything that a run needs before it trains.

    Args:
        config: the checked config.
        needs: artifacts of other runs.
        experiment: the prepared experiment.
        device: the device of the run.
        cadence: how often the run is saved.
        fast_dev_run: whether it does only a little of every stage.
    """

    config: Config
    needs: Sequence[Need]
    experiment: Experiment
    device: torch.device
    cadence: Cadence
    fast_dev_run: bool


def exactness(job: Job) -> dict[str, Any]:
    """Return whether the run is bitwise identical after being killed and resumed, and the reason if it may not be."""
    reason = job.experiment.inexact
    if reason is None and job.device.type != "cpu":
        reason = f"some operations on {job.device.type} do not give the same bits twice"
    return {"exact": reason is None, "reason": reason}


def build(config: Config, needs: Sequence[Need] = ()) -> tuple[Experiment, torch.device]:
    """Set this process up and seed it; return the experiment, not yet prepared, and the device of the run."""
    provide(config, needs)
    device = select_device(config.common.device)
    use_threads(config.common.threads)
    keep_freed_memory()
    flush_denormals()
    seed_everything(config.common.seed)
    return config.build(), device


def require_secrets(config: Config, folder: Path) -> None:
    """Raise ConfigError where settings of a recorded run are secrets, which were blanked, and are not given again."""
    if names := list(dict.fromkeys(blanked(config.as_dict()))):
        words = " ".join(f"--{name}=..." for name in names)
        raise ConfigError(
            f"{folder} was recorded without its secrets; give them again: {words}, or ${{env:NAME}} for one in the "
            "variable NAME"
        )


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Raise ConfigError where what the settings describe does not fit into memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        said = str(error)
        if not isinstance(error, MemoryError) and not any(words in said for words in TOO_LARGE):
            raise
        raise ConfigError(f"the settings need more memory than there is ({' '.join(said.split())[:160]})") from error


def prepare(config: Config, needs: Sequence[Need] = (), *, fast_dev_run: bool) -> Job:
    """Seed, build and check everything. Raises LabErrors for everything that can be wrong before training."""
    with _memory_errors():
        experiment, device = build(config, needs)
        experiment.prepare(config.common.seed, device, fast_dev_run=fast_dev_run)
    return Job(config, needs, experiment, device, experiment.cadence(config.common.checkpoint), fast_dev_run)
