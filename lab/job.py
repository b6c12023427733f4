"""A job: a checked config and what was built from it, ready to train or to be evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lab.configuration import Config
from lab.console.notices import console, notice
from lab.console.wording import rate
from lab.errors import ConfigError, DataError, lack_of_memory
from lab.experiment import Experiment
from lab.experiment.threads import fastest, is_long, steps_per_second
from lab.needs import Need, provide
from lab.saving.saver import Cadence
from lab.system.cores import usable_cores
from lab.system.devices import DEFAULT_THREADS, flush_denormals, keep_freed_memory, select_device, use_threads
from lab.system.randomness import kept_randomness, seed_everything
from lab.tracking.redact import blanked


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


def build(config: Config, needs: Sequence[Need] = (), threads: int | None = None) -> tuple[Experiment, torch.device]:
    """Set this process up and seed it; return the experiment, not yet prepared, and the device of the run.

    `threads` is the number of CPU threads where the config leaves it open."""
    provide(config, needs)
    device = select_device(config.common.device)
    use_threads(config.common.threads or threads)
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
def memory_errors() -> Iterator[None]:
    """Raise ConfigError where what the settings describe does not fit into memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not (lack := lack_of_memory(error)):
            raise
        raise ConfigError(f"the settings need {lack}") from error


def with_fastest_threads(job: Job) -> Job:
    """Return a job with the number of CPU threads that was measured to be the fastest, where the config leaves it open
    and the run is long; the same job where it does not or is not.

    The number is recorded in the config, so that a resumed or repeated run has the same. As everything may depend on it
    in the last digits, everything is prepared again with another number than before.
    """
    common, steps, most = job.config.common, job.experiment.total_steps, min(DEFAULT_THREADS, usable_cores())
    if common.threads is not None or job.device.type != "cpu" or job.fast_dev_run or not steps or most < 2:
        return job
    with kept_randomness():
        threads = _fastest(job.experiment, steps, most)
    if threads is None:
        return job
    job.config.record("threads", threads)
    if threads == torch.get_num_threads():
        return job
    job.config.instantiate({})
    return prepare(job.config, job.needs, fast_dev_run=job.fast_dev_run)


def _fastest(experiment: Experiment, steps: int, most: int) -> int | None:
    """Return the number of threads that is the fastest, and say so; None for a short training. Where a step cannot be
    measured, as with a model that cannot be copied, the number is one."""
    try:
        step = experiment.rehearsal()
        if step is None or not is_long(step, steps):
            return None
        rates = steps_per_second(step, sorted({1, most // 2, most}))
    except (ConfigError, DataError):
        raise
    except Exception as error:
        notice(f"threads: 1, since no step could be measured before the training ({type(error).__name__}: {error})")
        return 1
    threads = fastest(rates)
    measured = ", ".join(f"{rate(found)} with {count}" for count, found in rates.items())
    console.print(f"threads: {threads}, the fastest by a measurement of a second ({measured})")
    return threads


def prepare(config: Config, needs: Sequence[Need] = (), *, fast_dev_run: bool, threads: int | None = None) -> Job:
    """Seed, build and check everything. Raises LabErrors for everything that can be wrong before training.

    `threads` is the number of CPU threads where the config leaves it open, as that of the checkpoint of a run."""
    with memory_errors():
        experiment, device = build(config, needs, threads)
        experiment.prepare(config.common.seed, device, fast_dev_run=fast_dev_run)
    return Job(config, needs, experiment, device, experiment.cadence(config.common.checkpoint), fast_dev_run)
