"""How a run proceeds: check -> find what it needs -> seed and build -> train -> evaluate -> record."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml

from lab.capabilities import capabilities_of
from lab.configuration import Config, load
from lab.console.progress import notice
from lab.errors import ConfigError, DivergedError, Interrupted, SavingError
from lab.experiment import Experiment, RunContext
from lab.job import Job, exactness, prepare
from lab.needs import MissingArtifactError, Need, keep_copies, needs_of
from lab.runs import summary
from lab.runs.artifacts import FOLDER
from lab.runs.folder import locked
from lab.runs.reference import Reference, Target, judge
from lab.runs.summary import Summary
from lab.saving import checkpoint
from lab.saving.checkpoint import Checkpoint
from lab.saving.saver import Saver
from lab.saving.surroundings import surroundings
from lab.system.devices import describe
from lab.system.randomness import seed_everything
from lab.system.signals import signals_as_exceptions
from lab.tracking import Journal, Trackers, WandbFollower
from lab.tracking.destination import chosen_mode
from lab.tracking.redact import redact

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}

Announce = Callable[[Summary], None]


def run(
    name: str,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    runs_dir: str | Path | None = None,
    fast_dev_run: bool = False,
    make_needed: bool = False,
    announce: Announce = lambda record: None,
) -> Summary:
    """Run the experiment `name` (or a YAML file) to its end and return its summary. This is `lab run`.

    Args:
        overrides: dotted settings and their values.
        runs_dir: folder of all runs; by default `$LAB_RUNS_DIR`, else `runs`.
        fast_dev_run: do a little of every stage, in seconds.
        make_needed: first run the experiments whose artifacts this one needs and no completed run has.
        announce: called with the summary as soon as the run folder exists.

    Raises a LabError, before anything is written, for everything that can be checked in advance. Later errors are
    recorded in the summary and raised unchanged; those of the disk as SavingError.
    """
    started = time.perf_counter()
    wandb_mode, runs = chosen_mode(), summary.runs_folder(runs_dir)
    config = load(str(name), overrides)
    needs = find_needs(config, runs, fast_dev_run=fast_dev_run, make_needed=make_needed, announce=announce)
    job = prepare(config, needs, fast_dev_run=fast_dev_run)
    for line in [*config.notes, *job.experiment.notes]:
        notice(line)
    record = _new_record(job, runs)
    record.durations["setup"] = time.perf_counter() - started
    with locked(record.dir):
        announce(record)
        return carry_out(job, record, wandb_mode)


def carry_out(job: Job, record: Summary, wandb_mode: str, restored: Checkpoint | None = None) -> Summary:
    """Train from the start or from a checkpoint, evaluate, and record everything in the run folder, which is locked."""
    experiment, config, started = job.experiment, job.config, time.perf_counter()
    journal = Journal(record.dir)
    wandb = WandbFollower(
        record.dir,
        name=record.name,
        run_id=record.run_id,
        config=config.as_dict(),
        mode=wandb_mode,
        sent=journal.rows,
        joined=record.wandb,
    )
    tracker = Trackers([journal, wandb])

    def meta() -> dict[str, Any]:
        return {
            "run_id": record.run_id,
            "config": redact(config.as_dict()),
            "surroundings": surroundings(job.device),
            "journal": journal.position(),
            "train_seconds": trained_before + time.perf_counter() - train_began,
        }

    saver: Saver | None = None
    trained_before = restored.meta["train_seconds"] if restored else 0.0
    try:
        with signals_as_exceptions() as stop:
            saver = Saver(record.dir / "checkpoints", meta, stop, job.cadence, restored)
            context = RunContext(record.dir, record.seed, job.device, tracker, job.fast_dev_run, saver, restored)
            wandb.wait_started(5)
            record.durations["setup"] = round(record.durations["setup"] + time.perf_counter() - started, 3)
            record.wandb = wandb.state | {"url": None}
            record.write()
            train_began = time.perf_counter()
            with timed(record, "train", trained_before), stop.deferred():
                throughput = experiment.train(context)
            record.judged = experiment.judged
            if experiment.inexact:
                record.resume |= {"exact": False, "reason": experiment.inexact}
            record.durations["saving"] = round(saver.seconds, 3)
            rate = throughput.amount / record.durations["train"]
            record.throughput = {"value": round(rate, 2), "unit": f"{throughput.unit}/s"}
            for title, state in experiment.states().items():
                checkpoint.publish(record.dir / "checkpoints" / title, state, {"run_id": record.run_id})
            artifacts = experiment.artifacts()
            for name, write in artifacts.items():
                write(record.dir / FOLDER / name)
            record.artifacts = list(artifacts)
            with timed(record, "evaluate"):
                seed_everything(record.seed)
                record.metrics = summary.finite(experiment.evaluate(context))
            if missing := [name for name, value in record.metrics.items() if value is None]:
                raise DivergedError(f"{', '.join(missing)}: not finite at the end of training")
            _draw(experiment, context)
            _baselines(experiment, context, record)
        record.descriptions, record.status = dict(experiment.descriptions), "completed"
    except BaseException as error:
        record.status, record.error = _status_of(error), f"{type(error).__name__}: {error}"[:500]
        if isinstance(error, OSError) and error.errno in DISK:
            raise SavingError(f"cannot write to {record.dir}: {error.strerror}; `lab resume` continues it") from error
        raise
    finally:
        _judge(job, record)
        record.resume |= saver.position() if saver else {}
        _write(record)  # before waiting for W&B, which may fail
        tracker.finish(asdict(record))
        record.wandb = wandb.state
        _write(record)
    return record


def find_needs(
    config: Config, runs: Path, *, fast_dev_run: bool, make_needed: bool, announce: Announce = lambda record: None
) -> list[Need]:
    """Return the artifacts of other runs that the config needs. With `make_needed`, the experiments that make missing
    ones run first; without, MissingArtifactError is raised."""
    made: set[str] = set()
    while True:
        try:
            return needs_of(config, runs, fast_dev_run=fast_dev_run)
        except MissingArtifactError as error:
            if not make_needed or error.experiment is None or error.experiment in made:
                raise
            made.add(error.experiment)
            notice(f"{config.common.name} needs {error.experiment}, which runs first")
            run(error.experiment, runs_dir=runs, fast_dev_run=fast_dev_run, make_needed=True, announce=announce)


def _new_record(job: Job, runs: Path) -> Summary:
    """Create the run folder with its config and a summary whose status is `running`."""
    config, common = job.config, job.config.common
    run_id = summary.new_run_id(common.seed)
    folder = runs / common.name / run_id
    record = Summary(
        name=common.name,
        family=job.experiment.family,
        run_id=run_id,
        run_dir=str(folder),
        seed=common.seed,
        device=describe(job.device),
        threads=torch.get_num_threads(),
        dataset=asdict(job.experiment.dataset),
        reference=asdict(common.reference) if common.reference else {},
        target=asdict(common.target) if common.target else {},
        fast_dev_run=job.fast_dev_run,
        roles=config.roles().as_dict(),
        can=capabilities_of(job.experiment.trained),
        resume=exactness(job) | {"sessions": 1},
    )
    try:
        folder.mkdir(parents=True)
        text = yaml.safe_dump(redact(config.as_dict()), sort_keys=False, allow_unicode=True)
        (folder / "config.yaml").write_text(text, encoding="utf-8")
        keep_copies(job.needs, record)
        record.write()
    except OSError as error:
        raise ConfigError(
            f"cannot write to the runs folder {runs}: {error.strerror}; choose one with --runs-dir"
        ) from error
    return record


def _judge(job: Job, record: Summary) -> None:
    """Record the verdicts: on the published figure, and on our own where there is one."""

    def verdict(measure: Reference | Target | None) -> dict[str, str]:
        verdict, reason = judge(
            measure,
            record.metrics,
            dataset=job.experiment.dataset,
            settings=job.config.as_dict(),
            fast_dev_run=job.fast_dev_run,
        )
        return {"verdict": verdict, "reason": reason}

    common = job.config.common
    record.reference |= verdict(common.reference)
    if common.target is not None:
        record.target |= verdict(common.target)


@contextmanager
def timed(record: Summary, stage: str, before: float = 0.0) -> Iterator[None]:
    """Record the seconds spent on `stage`: those inside the block, and `before` from earlier sessions."""
    started = time.perf_counter()
    try:
        yield
    finally:
        record.durations[stage] = round(before + time.perf_counter() - started, 3)


def _write(record: Summary) -> None:
    try:
        record.write()
    except OSError as error:  # a full disk may have ended the run, and that error must be the one raised
        notice(f"the summary of {record.dir} could not be written: {error.strerror}")


def _draw(experiment: Experiment, context: RunContext) -> None:
    try:
        experiment.draw(context)
    except Exception as error:  # the figures must survive a picture that fails
        notice(f"the final pictures could not be drawn: {type(error).__name__}: {error}")


def _baselines(experiment: Experiment, context: RunContext, record: Summary) -> None:
    try:
        found = experiment.baselines(context)
    except Exception as error:  # as with pictures
        notice(f"the baselines could not be computed: {type(error).__name__}: {error}")
        return
    record.baselines = {name: {metric: float(value) for metric, value in one.items()} for name, one in found.items()}


def _status_of(error: BaseException) -> summary.Status:
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return "interrupted"
    return "diverged" if isinstance(error, DivergedError) else "failed"
