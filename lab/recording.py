"""What a run records about itself: its folder and summary, its durations, its verdicts and how it ended."""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lab.capabilities import capabilities_of
from lab.config.files import setting
from lab.config.values import dump
from lab.configuration import Config
from lab.console.notices import notice
from lab.console.wording import shown, some
from lab.errors import ConfigError, DivergedError, Interrupted, SavingError
from lab.experiment import Experiment, RunContext
from lab.job import Job, exactness
from lab.keys.signature import print_of_config, signed_config
from lab.needs import keep_copies
from lab.runs.folder import NEW, create
from lab.runs.reference import Reference, Target, verdict_on
from lab.runs.summary import Status, Summary, new_run_id
from lab.system.devices import describe
from lab.system.files import write_atomic
from lab.tracking.commit import git_state
from lab.tracking.redact import redact

TAKEN = {errno.EEXIST, errno.ENOTEMPTY}
ATTEMPTS = 20  # to find an id that no other run has


def new_record(job: Job, runs: Path, held: ExitStack) -> Summary:
    """Create the run folder with its config and a summary whose status is `running`; `held` keeps its lock."""
    for _ in range(ATTEMPTS):
        record = _record(job, runs)
        try:
            create(record.dir, runs / f"{NEW}{record.run_id}", partial(_fill, job=job, record=record), held)
        except OSError as error:
            refused = error
            if error.errno in TAKEN:  # chance gave two runs of one second the same id
                continue
            break
        return record
    raise ConfigError(
        f"cannot write to the runs folder {runs}: {refused.strerror}; choose one with --runs-dir"
    ) from refused


def _record(job: Job, runs: Path) -> Summary:
    common = job.config.common
    run_id = new_run_id(common.seed)
    return Summary(
        name=common.name,
        family=job.experiment.family,
        run_id=run_id,
        run_dir=str(runs / common.name / run_id),
        seed=common.seed,
        device=describe(job.device),
        threads=torch.get_num_threads(),
        dataset=asdict(job.experiment.dataset),
        reference=asdict(common.reference) if common.reference else {},
        target=asdict(common.target) if common.target else {},
        fast_dev_run=job.fast_dev_run,
        git=git_state() if job.config.stranger is None else None,  # the working directory may be his
        roles=job.config.roles().as_dict(),
        can=capabilities_of(job.experiment.trained),
        resume=exactness(job) | {"sessions": 1},
    )


def _fill(folder: Path, job: Job, record: Summary) -> None:
    """Write what a run's folder has before it trains."""
    record.configs = [write_config(folder, job.config)]
    keep_copies(job.needs, record, folder, tell=job.config.stranger is None)
    record.write(folder)


def write_config(folder: Path, config: Config, *, sign: bool = True) -> str:
    """Write the `config.yaml` of a run, without secrets, atomically; signed as the user's own, unless it is somebody
    else's. Return its print, for the summary."""
    content = _written(config)
    write_atomic(folder / "config.yaml", signed_config(content) if sign else content)
    return print_of_config(content)


def write_again(record: Summary, config: Config | None) -> None:
    """Write the summary of a run that goes on, and its config if that is another now. After a kill in between, the
    summary has the print of whichever config is there."""
    here = print_of_config((record.dir / "config.yaml").read_bytes())
    record.configs = [one for one in record.configs if one == here][:1]
    if config is not None:
        record.configs.append(print_of_config(_written(config)))
    record.write()
    if config is not None:
        record.configs = [write_config(record.dir, config, sign=record.mine)]


def _written(config: Config) -> bytes:
    """Return a config as a run's `config.yaml` has it, without a signature."""
    return dump(redact(config.as_dict())).encode()


def record_verdicts(job: Job, record: Summary) -> None:
    """Record the verdicts: on the published figure, and on our own where there is one."""

    def verdict(measure: Reference | Target | None) -> dict[str, str]:
        verdict, reason = verdict_on(
            measure,
            record.metrics,
            dataset=job.experiment.dataset,
            settings=job.config.as_dict(),
            fast_dev_run=job.fast_dev_run,
            shorter=_shorter(job, measure) if measure else None,
        )
        return {"verdict": verdict, "reason": reason}

    common = job.config.common
    record.reference |= verdict(common.reference)
    if common.target is not None:
        record.target |= verdict(common.target)


def _shorter(job: Job, measure: Reference | Target) -> str | None:
    """Return how the training was shorter than that of the experiment which gives the figure; None where it was not."""
    settings, units = job.config.as_dict(), job.config.roles().budget
    now = {name: setting(settings, name) for name in measure.lengths}
    before, after = job.experiment.steps_of(measure.lengths), job.experiment.steps_of(now)
    if before is None or after is None or after >= before:
        return None

    def told(lengths: Mapping[str, Any]) -> str:
        given = [f"{shown(length)} {units.get(name, name)}" for name, length in lengths.items() if length is not None]
        return " or ".join(given) or "its default length"

    return f"the experiment trains for {told(measure.lengths)}, this run for {told(now)}"


def record_beside(experiment: Experiment, context: RunContext, record: Summary) -> None:
    """Record the baselines and the bounds. What is not finite is left out, and said: the run's own figures stand."""
    try:
        found = {"baselines": experiment.baselines(context), "bounds": experiment.bounds(context)}
        plain = {
            kind: {name: {metric: float(value) for metric, value in one.items()} for name, one in those.items()}
            for kind, those in found.items()
        }
    except Exception as error:  # as with pictures
        notice(f"the baselines could not be computed: {type(error).__name__}: {error}")
        return
    if left_out := list(leave_out_infinite(plain)):
        notice(f"left out, because not finite: {some(left_out)}")
    record.baselines, record.bounds = (
        {name: metrics for name, metrics in those.items() if metrics} for those in plain.values()
    )


def leave_out_infinite(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Remove numbers that are not finite, which JSON does not have, from nested mappings; yield their dotted names."""
    for name, value in [*values.items()]:
        if isinstance(value, dict):
            yield from leave_out_infinite(value, f"{prefix}{name}.")
        elif isinstance(value, float) and not math.isfinite(value):
            del values[name]
            yield f"{prefix}{name}"


@contextmanager
def timed(record: Summary, stage: str) -> Iterator[None]:
    """Record the seconds spent in the block as the duration of `stage`."""
    started = time.perf_counter()
    try:
        yield
    finally:
        record.durations[stage] = round(time.perf_counter() - started, 3)


class TrainingTime:
    """The seconds of training so far, those of earlier sessions included.

    Args:
        before: seconds in earlier sessions.
    """

    def __init__(self, before: float) -> None:
        self.before = before
        self.start()

    def start(self) -> None:
        """Begin to count this session now."""
        self.began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds until now."""
        return self.before + time.perf_counter() - self.began


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Raise SavingError where the disk refuses what is written to a run's folder inside the block."""
    try:
        yield
    except OSError as error:
        raise SavingError(
            f"cannot write to {folder}: {error.strerror}; repeat the command when that can be written"
        ) from error


def write_or_notice(record: Summary) -> bool:
    """Write the summary; return whether that could be done. An error is only printed: the one that ended the run, such
    as a full disk, is raised. Numbers that are not finite are left out: the others must not be lost to them."""
    if left_out := list(leave_out_infinite(vars(record))):
        notice(f"left out of the summary, because not finite: {some(left_out)}")
    try:
        record.write()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        notice(f"the summary of {record.dir} could not be written: {reason}")
        return False
    return True


def status_of(error: BaseException) -> Status:
    """Return how a run ended that this error ended."""
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return "interrupted"
    return "diverged" if isinstance(error, DivergedError) else "failed"
