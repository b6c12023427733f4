"""How a run proceeds: check, find what it needs, seed and build, train, publish, evaluate, draw, record."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.configuration import Config, load
from lab.console.notices import notice
from lab.console.wording import near
from lab.data.collected import MissingDataError
from lab.errors import DISK, DivergedError, OutOfMemoryError, SavingError, lack_of_memory
from lab.experiment import Experiment, RunContext
from lab.job import Job, prepare, with_fastest_threads
from lab.needs import MissingArtifactError, Need, collect, needs_of, require_collected
from lab.recording import TrainingTime, new_record, record_beside, record_verdicts, status_of, timed, write_or_notice
from lab.runs import summary
from lab.runs.artifacts import FOLDER, seal
from lab.runs.summary import Summary
from lab.saving import checkpoint
from lab.saving.checkpoint import Checkpoint, blamed
from lab.saving.saver import Saver
from lab.saving.surroundings import surroundings
from lab.system.process import process_as_found
from lab.system.randomness import seed_everything
from lab.system.signals import Stop, signals_as_exceptions
from lab.tracking import Journal, Trackers, WandbFollower
from lab.tracking.destination import chosen_mode, in_no_sweep, others_id
from lab.tracking.redact import redact, secrets_of

LONGEST = 20_000  # characters of an error that are looked at

Announce = Callable[[Summary], None]


@process_as_found()
def run(
    name: str,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    runs_dir: str | Path | None = None,
    fast_dev_run: bool = False,
    make_needed: bool = False,
    trust: bool | None = None,
    announce: Announce = lambda record: None,
) -> Summary:
    """Run the experiment `name` (or a YAML file) to its end and return its summary. This is `lab run`.

    Args:
        overrides: dotted settings and their values.
        runs_dir: folder of all runs; by default `$LAB_RUNS_DIR`, else `runs`.
        fast_dev_run: do a little of every stage, in seconds.
        make_needed: first run the experiments whose artifacts this one needs and no completed run has, and collect the
            data sets that it needs.
        trust: whether a YAML file is the user's own; None: one that lies among runs is if it is signed. Somebody else's
            may only name classes of the lab.
        announce: called with the summary as soon as the run folder exists.

    Raises a LabError, before anything is written, for everything that can be checked in advance. Later errors are
    recorded in the summary and raised unchanged; those of the disk as SavingError, of memory as OutOfMemoryError.
    """
    started = time.perf_counter()
    wandb_mode, runs = chosen_mode(), summary.runs_folder(runs_dir)
    config = load(str(name), overrides, trust=trust)
    needs = find_needs(config, runs, fast_dev_run=fast_dev_run, make_needed=make_needed, trust=trust, announce=announce)
    job = with_fastest_threads(prepare(config, needs, fast_dev_run=fast_dev_run))
    for line in [*config.notes, *job.experiment.notes]:
        notice(line)
    with ExitStack() as held:
        record = new_record(job, runs, held)
        record.durations["setup"] = time.perf_counter() - started
        announce(record)
        return carry_out(job, record, wandb_mode)


def find_needs(
    config: Config,
    runs: Path,
    *,
    fast_dev_run: bool,
    make_needed: bool,
    trust: bool | None = None,
    announce: Announce = lambda record: None,
) -> list[Need]:
    """Return the artifacts of other runs that the config needs. With `make_needed`, the experiments that make missing
    ones run first, and missing data are collected; without, MissingArtifactError or MissingDataError is raised.
    Somebody else's runs count only with `trust`, and nothing is collected for somebody else's config."""
    made: set[str] = set()
    while True:
        try:
            try:
                require_collected(config, fast_dev_run=fast_dev_run)
                return needs_of(config, runs, fast_dev_run=fast_dev_run, trust=trust)
            except MissingDataError as error:
                if not make_needed or config.stranger is not None:
                    raise
                notice(f"{config.common.name} needs {error.wanted.name}, which is collected first")
                collect(error.wanted, runs, fast_dev_run=fast_dev_run)
        except MissingArtifactError as error:
            if not make_needed and error.experiment is not None:
                raise MissingArtifactError(f"{error}, or add --make-needed", error.experiment) from error
            if error.experiment is None or error.experiment in made:
                raise
            made.add(error.experiment)
            notice(f"{config.common.name} needs {error.experiment}, which runs first")
            with in_no_sweep():
                run(error.experiment, runs_dir=runs, fast_dev_run=fast_dev_run, make_needed=True, announce=announce)


def carry_out(
    job: Job,
    record: Summary,
    wandb_mode: str,
    restored: Checkpoint | None = None,
    changed: Collection[str] = (),
) -> Summary:
    """Train from the start or from a checkpoint, evaluate, and record everything in the run folder, which is locked.

    `changed` has the dotted names of the settings that differ from those that led to the checkpoint.
    """
    experiment, started = job.experiment, time.perf_counter()
    journal = Journal(record.dir)
    wandb = _follow(job, record, journal, wandb_mode)
    tracker = Trackers([journal, wandb])
    clock = TrainingTime(restored.meta["train_seconds"] if restored else 0.0)
    meta = _checkpoint_meta(job, record, journal, clock)
    saver: Saver | None = None
    try:
        with signals_as_exceptions() as stop:
            saver = Saver(record.dir / "checkpoints", meta, stop, job.cadence, restored, sign=record.mine)
            context = RunContext(
                record.dir, record.seed, job.device, tracker, job.fast_dev_run, saver, restored, changed
            )
            record.durations["setup"] = round(record.durations["setup"] + time.perf_counter() - started, 3)
            record.wandb = wandb.state | {"url": None}
            record.write()
            with blamed(record.dir, when=restored is not None and job.config.stranger is not None):
                _train(experiment, context, record, stop, clock)
                record.durations["saving"] = round(saver.seconds, 3)
                _publish(experiment, record)
                _evaluate(experiment, context, record)
            _draw(experiment, context)
            record_beside(experiment, context, record)
            journal.position()  # on the disk before the summary says that the run is complete
        record.descriptions, record.status = dict(experiment.descriptions), "completed"
    except BaseException as error:
        secrets = [*job.config.variables.values(), *secrets_of(job.config.as_dict())]
        said = redact(f"{type(error).__name__}: {error}"[:LONGEST], secrets)
        record.status, record.error = status_of(error), said[:500]
        if isinstance(error, OSError) and error.errno in DISK:
            raise SavingError(f"cannot write to {record.dir}: {error.strerror}; `lab resume` continues it") from error
        if lack := lack_of_memory(error):
            raise OutOfMemoryError(f"the run needs {lack}; `lab resume` continues it where there is more") from error
        raise
    finally:
        record_verdicts(job, record)
        record.resume |= saver.position() if saver else {}
        written = write_or_notice(record)  # before waiting for W&B, which may fail
        tracker.finish(asdict(record))
        if not written or record.wandb != wandb.state:
            record.wandb = wandb.state
            written = write_or_notice(record)
    if not written:  # the disk is full
        raise SavingError(f"the summary of {record.dir} could not be written; `lab resume` continues it")
    return record


def _follow(job: Job, record: Summary, journal: Journal, mode: str) -> WandbFollower:
    """Return what sends the rows of the journal to W&B: somebody else's run under an id that he did not choose."""
    own = record.mine or job.config.stranger is None
    new_id = others_id(record.run_id)
    if not own and mode != "disabled":
        notice(
            f"{near(record.dir)} is not signed as yours: it goes to Weights & Biases under a new id, {new_id}; with "
            "--trust, under its own"
        )
    return WandbFollower(
        record.dir,
        name=record.name,
        run_id=record.run_id,
        config=job.config.as_dict(),
        mode=mode,
        sent=journal.rows,
        joined=record.wandb if own else {"id": new_id},
    )


def _checkpoint_meta(job: Job, record: Summary, journal: Journal, clock: TrainingTime) -> Callable[[], dict[str, Any]]:
    """Return a function that gives what a checkpoint holds besides the state. Most of it is computed once."""
    fixed = {
        "run_id": record.run_id,
        "config": redact(job.config.as_dict()),
        "surroundings": surroundings(job.device),
    }
    return lambda: fixed | {"journal": journal.position(), "train_seconds": clock.seconds}


def _train(experiment: Experiment, context: RunContext, record: Summary, stop: Stop, clock: TrainingTime) -> None:
    clock.start()
    try:
        with stop.deferred():
            throughput = experiment.train(context)
    finally:
        record.durations["train"] = round(clock.seconds, 3)
    record.judged = experiment.judged
    if experiment.inexact:
        record.resume |= {"exact": False, "reason": experiment.inexact}
    rate = throughput.amount / record.durations["train"]
    record.throughput = {"value": round(rate, 2 if rate >= 1 else 6), "unit": f"{throughput.unit}/s"}
    if throughput.by:
        record.throughput["by"] = throughput.by


def _publish(experiment: Experiment, record: Summary) -> None:
    """Write the checkpoints that are evaluated and exported, and the artifacts for other runs."""
    meta = {"run_id": record.run_id, "form": experiment.form()}
    for name, state in experiment.states().items():
        checkpoint.publish(record.dir / "checkpoints" / name, state, meta, sign=record.mine)
    artifacts = experiment.artifacts()
    for name, write in artifacts.items():
        write(record.dir / FOLDER / name)
        seal(record.dir / FOLDER / name, record.run_id, sign=record.mine)
    record.artifacts = list(artifacts)


def _evaluate(experiment: Experiment, context: RunContext, record: Summary) -> None:
    with timed(record, "evaluate"):
        seed_everything(record.seed)
        record.metrics = summary.finite(experiment.evaluate(context))
    if missing := [name for name, value in record.metrics.items() if value is None]:
        raise DivergedError(f"{', '.join(missing)}: not finite at the end of training")


def _draw(experiment: Experiment, context: RunContext) -> None:
    try:
        experiment.draw(context)
    except Exception as error:  # the figures must survive a picture that fails
        notice(f"the final pictures could not be drawn: {type(error).__name__}: {error}")
