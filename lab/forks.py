"""A fork: a new run that continues from a checkpoint of another one, with other settings."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from lab.configuration import Config
from lab.errors import ConfigError
from lab.recording import write_config
from lab.runs import summary
from lab.runs.artifacts import COPIES
from lab.runs.folder import FORK, NEW, create
from lab.runs.summary import Summary
from lab.saving import checkpoint
from lab.saving.checkpoint import SEGMENTS, Checkpoint
from lab.saving.saver import position
from lab.system.opening import copy_plain
from lab.tracking import MEDIA, METRICS
from lab.tracking.commit import git_state
from lab.tracking.redact import redact

LED_TO = "led_to"
"""In the metadata of a fork's first checkpoint: the settings that led to its state, which are not the fork's."""


def fork(
    record: Summary, restored: Checkpoint, config: Config, held: ExitStack, runs_dir: str | Path | None = None
) -> tuple[Summary, Checkpoint]:
    """Create a new run with another config, which continues from the checkpoint `restored`; `held` keeps its lock.

    It is unfinished from its first moment on: nothing in its summary is of the parent's end. It lies beside its parent
    where that lies in a folder of runs, as `<experiment>/<run-id>`, else in the folder of all runs.
    """
    run_id, reference = summary.new_run_id(config.common.seed), config.common.reference
    real = record.dir.resolve()  # a run may be named by a link to it
    beside = real.parent.name == record.name
    runs = real.parent.parent if beside else summary.runs_folder(runs_dir)
    folder = runs / config.common.name / run_id
    made = Summary(
        name=config.common.name,
        family=record.family,
        run_id=run_id,
        run_dir=str(folder),
        seed=config.common.seed,
        device=record.device,
        threads=record.threads,
        dataset=record.dataset,
        reference=asdict(reference) if reference else {},
        target=asdict(config.common.target) if config.common.target else {},
        fast_dev_run=record.fast_dev_run,
        needs=record.needs,
        can=record.can,
        roles=config.roles().as_dict(),
        git=git_state() if config.stranger is None else None,
        resume={"checkpoint": position(restored.folder), "steps_after_it": 0},
        parent={"run_id": record.run_id, "checkpoint": position(restored.folder)},
        mine=config.stranger is None,
    )
    if not made.mine and folder.parent.is_symlink():
        raise ConfigError(f"{folder.parent} is a link, and a run that is not signed as yours writes through none")
    staging = real / FORK if beside else runs / f"{NEW}{run_id}"  # on the disk that it stays on
    create(folder, staging, partial(_fill, record=record, restored=restored, config=config, made=made), held)
    return made, checkpoint.load(folder / "checkpoints" / restored.folder.name)


def _fill(folder: Path, record: Summary, restored: Checkpoint, config: Config, made: Summary) -> None:
    """Write into `folder` what the run `made` takes over from `record`."""
    checkpoints = folder / "checkpoints"
    (checkpoints / SEGMENTS).mkdir(parents=True)
    made.configs = [write_config(folder, config, sign=made.mine)]
    for path in [record.dir / METRICS, record.dir / MEDIA, *_inside(record.dir, "media"), *_inside(record.dir, COPIES)]:
        copy = folder / path.relative_to(record.dir)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy_plain(path, record.dir, copy)
    segments = []
    for segment in restored.segments:
        path = checkpoints / SEGMENTS / segment.path.name
        copy_plain(segment.path, record.dir, path)
        segments.append(replace(segment, path=path))
    led_to = restored.meta.get(LED_TO) or restored.meta["config"]
    meta = {**restored.meta, "config": redact(config.as_dict()), LED_TO: led_to, "run_id": made.run_id}
    checkpoint.publish(checkpoints / restored.folder.name, restored.state, meta, segments, sign=made.mine)
    made.write(folder)


def _inside(folder: Path, name: str) -> list[Path]:
    """Return the files in a folder of a run, at any depth."""
    return [path for path in sorted((folder / name).rglob("*")) if not path.is_dir()]
