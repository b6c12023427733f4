"""How a run happens: check -> seed -> build -> train -> evaluate -> record. One page, for every experiment alike."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from lab import checkpoint, summary
from lab.config import Config, load
from lab.devices import describe, select_device, use_threads
from lab.encoders.files import save_encoder
from lab.encoders.pretrained import stand_in
from lab.errors import CheckpointError, ConfigError, DivergedError, Interrupted
from lab.experiment import Experiment, RunContext
from lab.progress import notice
from lab.reference import judge
from lab.signals import signals_as_exceptions
from lab.summary import Summary
from lab.tracking import Journal, Trackers, WandbFollower
from lab.tracking.redact import redact
from lab.tracking.wandb import chosen_mode


def run(
    name: str,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    runs_dir: str | Path | None = None,
    fast_dev_run: bool = False,
    announce: Callable[[Summary], None] = lambda record: None,
) -> Summary:
    """Run the experiment `name` (or a YAML file) to its end and return its summary; `lab run` does just this.

    `overrides` maps dotted settings to values. `announce` is told of the run once its folder exists. Raises a
    LabError, before anything is written, for all that can be known to be wrong; later errors are recorded in the
    summary and raised as they are.
    """
    started = time.perf_counter()
    wandb_mode = chosen_mode()
    config = load(str(name), overrides)
    experiment, device = _prepared(config, fast_dev_run=fast_dev_run)
    for line in config.notes:
        notice(line)
    record = _new_record(config, experiment, device, summary.runs_folder(runs_dir), fast_dev_run=fast_dev_run)
    journal = Journal(record.dir / "metrics.jsonl")
    wandb = WandbFollower(record.dir, name=record.name, run_id=record.run_id, config=config.as_dict(), mode=wandb_mode)
    tracker = Trackers([journal, wandb])
    announce(record)
    context = RunContext(record.dir, record.seed, device, tracker, fast_dev_run)
    try:
        with signals_as_exceptions():
            wandb.wait_started(5)
            record.durations["setup"] = round(time.perf_counter() - started, 3)
            with _timed(record, "train"):
                throughput = experiment.train(context)
            rate = throughput.amount / record.durations["train"]
            record.throughput = {"value": round(rate, 2), "unit": f"{throughput.unit}/s"}
            for title, state in experiment.states().items():
                checkpoint.publish(record.dir / "checkpoints" / title, state, {"run_id": record.run_id})
            save_encoder(experiment.encoder, record.dir / "encoder")
            with _timed(record, "evaluate"):
                seed_everything(record.seed)
                record.metrics = summary.finite(experiment.evaluate(context))
            if missing := [name for name, value in record.metrics.items() if value is None]:
                raise DivergedError(f"{', '.join(missing)}: not finite at the end of training")
            _draw(experiment, context)
        record.descriptions, record.status = dict(experiment.descriptions), "completed"
    except BaseException as error:
        record.status, record.error = _status_of(error), f"{type(error).__name__}: {error}"[:500]
        raise
    finally:
        verdict, reason = judge(
            config.common.reference,
            record.metrics,
            dataset=experiment.dataset,
            settings=config.as_dict(),
            fast_dev_run=fast_dev_run,
        )
        record.reference |= {"verdict": verdict, "reason": reason}
        record.write()  # before W&B is waited for: whatever happens there, this stays
        tracker.finish(asdict(record))
        record.wandb = {"mode": wandb.mode, "url": wandb.address, "problem": wandb.problem}
        record.write()
    return record


def evaluate(folder: Path, overrides: Mapping[str, Any] | Sequence[str] = ()) -> Summary:
    """Evaluate a finished run again, from its config and its checkpoints alone; nothing in its folder changes.

    Without overrides the figures are those of the run itself, on the same kind of device and versions. With them
    the evaluation can be another one: more episodes, more importance samples. Raises CheckpointError when there is
    no valid checkpoint, or it does not fit the settings.
    """
    record = summary.read_summary(folder)
    config = load(str(folder / "config.yaml"), overrides)
    with stand_in(folder / "encoder"):
        experiment, device = _prepared(config, fast_dev_run=record.fast_dev_run)
    states = {
        path.name: checkpoint.load(path)[0] for path in (folder / "checkpoints").glob("*") if path.suffix != ".tmp"
    }
    if "final" not in states:
        raise CheckpointError(f"{folder} has no final checkpoint: the run did not finish training")
    try:
        experiment.load_states(states)
    except (RuntimeError, KeyError) as error:  # torch lists every key, line by line
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(f"the checkpoint in {folder} does not fit the settings: {reason}") from error
    seed_everything(record.seed)
    with _timed(record, "evaluate"):
        context = RunContext(folder, record.seed, device, Trackers([]), record.fast_dev_run)
        record.metrics = summary.finite(experiment.evaluate(context))
    record.device = describe(device)
    return record


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, numpy and torch on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _prepared(config: Config, *, fast_dev_run: bool) -> tuple[Experiment, torch.device]:
    device = select_device(config.common.device)
    use_threads(config.common.threads)
    seed_everything(config.common.seed)
    experiment = config.build()
    experiment.prepare(config.common.seed, device, fast_dev_run=fast_dev_run)
    return experiment, device


def _new_record(
    config: Config, experiment: Experiment, device: torch.device, runs: Path, *, fast_dev_run: bool
) -> Summary:
    """Make the run folder, with its config and a summary that says `running`."""
    common = config.common
    run_id = summary.new_run_id(common.seed)
    folder = runs / common.name / run_id
    record = Summary(
        name=common.name,
        family=experiment.family,
        run_id=run_id,
        run_dir=str(folder),
        seed=common.seed,
        device=describe(device),
        threads=torch.get_num_threads(),
        dataset=asdict(experiment.dataset),
        reference=asdict(common.reference) if common.reference else {},
        fast_dev_run=fast_dev_run,
    )
    try:
        folder.mkdir(parents=True)
        text = yaml.safe_dump(redact(config.as_dict()), sort_keys=False, allow_unicode=True)
        (folder / "config.yaml").write_text(text, encoding="utf-8")
        record.write()
    except OSError as error:
        raise ConfigError(
            f"cannot write to the runs folder {runs}: {error.strerror}; choose one with --runs-dir"
        ) from error
    return record


@contextmanager
def _timed(record: Summary, stage: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        record.durations[stage] = round(time.perf_counter() - started, 3)


def _draw(experiment: Experiment, context: RunContext) -> None:
    try:
        experiment.draw(context)
    except Exception as error:  # a picture that fails must not cost the figures
        notice(f"the final pictures could not be drawn: {type(error).__name__}: {error}")


def _status_of(error: BaseException) -> summary.Status:
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return "interrupted"
    return "diverged" if isinstance(error, DivergedError) else "failed"
