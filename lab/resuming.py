"""Resumes a run from its newest valid checkpoint, exactly, or as a new run that trains longer."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml

from lab.config.files import setting
from lab.configuration import Config, load
from lab.console.notices import notice
from lab.errors import CheckpointError, ConfigError
from lab.job import exactness, prepare
from lab.needs import COPIES, needs_of
from lab.recording import write_config
from lab.runner import carry_out
from lab.runs import summary
from lab.runs.folder import locked
from lab.runs.summary import Summary
from lab.saving import checkpoint
from lab.saving.checkpoint import SEGMENTS, Checkpoint
from lab.saving.cut_back import cut_back
from lab.saving.own_data import moved, require_place, require_same
from lab.saving.saver import newest_valid, position
from lab.saving.surroundings import differences, surroundings
from lab.system.devices import describe
from lab.tracking import MEDIA, METRICS
from lab.tracking.destination import chosen_mode
from lab.tracking.redact import BLANK, redact

META = {"run_id", "config", "surroundings", "journal", "train_seconds"}


def resume(
    folder: Path,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    force: bool = False,
    trust: bool | None = None,
    announce: Callable[[Summary], None] = lambda record: None,
) -> Summary:
    """Resume the run in `folder`, train it to its end and return its summary. This is `lab resume`.

    Without overrides the run ends as if it had never been interrupted, bitwise on the CPU. With a larger length
    (`Experiment.lengths`), or with any other override and `force`, it becomes a new run with this one as its parent.
    Somebody else's run may only name classes of the lab, unless `trust` takes it for the user's own.
    Raises CheckpointError if no checkpoint is valid, and ConfigError if the run is complete, is running in another
    process, or differs from its checkpoint in config, machine or versions and `force` is not given.
    """
    started = time.perf_counter()
    wandb_mode = chosen_mode()
    summary.read_summary(folder)  # raises ConfigError if it is not a run
    with ExitStack() as held:
        held.enter_context(locked(folder))
        record = summary.read_summary(folder)
        restored = _newest(folder)
        config = load(str(folder / "config.yaml"), overrides, trust=trust)
        before = (
            _trained_with(restored, mine=config.stranger is None)
            if restored
            else redact(load(str(folder / "config.yaml"), trust=trust).as_dict())
        )
        every = list(differences(before, redact(config.as_dict())))
        changes = [change for change in every if not moved(record, change)]
        if not changes and record.status == "completed":
            lengths = config.experiment.lengths
            given = next((name for name in lengths if _length(before, name) is not None), lengths[0])
            raise ConfigError(f"{folder} is complete; to train it longer, give a larger --{given}=N")
        if BLANK in str(config.as_dict()):
            raise ConfigError(f"{folder}/config.yaml has a blanked secret ({BLANK}); give that setting again")
        needs = needs_of(config, folder.parent.parent, own=folder, fast_dev_run=record.fast_dev_run)
        require_place(record, config.as_dict())
        job = prepare(config, needs, fast_dev_run=record.fast_dev_run)
        require_same(record, job.experiment.dataset)
        others = list(differences(restored.meta["surroundings"], surroundings(job.device))) if restored else []
        _refuse(folder, changes, before, config, others, force=force)
        total = job.experiment.total_steps
        if changes and restored and total is not None and total < position(restored.folder):
            raise ConfigError(
                f"{'; '.join(changes)}: training would end at step {total:,}, but the checkpoint of {folder} is at "
                f"step {position(restored.folder):,} already"
            )
        if changes and restored and (wrong := job.experiment.misfit(restored)):
            raise ConfigError(wrong)
        for line in [*config.notes, *job.experiment.notes]:
            notice(line)
        if restored is None:
            if record.resume.get("checkpoint") is not None:
                raise CheckpointError(
                    f"{folder} has lost its checkpoints: the last one was at {record.resume['checkpoint']}"
                )
            if changes:
                raise ConfigError(f"{folder} has no checkpoint to continue with another config; use `lab run`")
            notice("the run ended before its first checkpoint, so it starts again in the same folder")
        elif changes:
            parent = record.dir
            record, restored = _fork(record, restored, config)
            notice(f"{'; '.join(changes)}: a new run continues from step {position(restored.folder):,} of {parent}")
            held.enter_context(locked(record.dir))
        if changes != every:  # the data lie elsewhere now, which later commands need to know
            record.dataset = asdict(job.experiment.dataset)
            write_config(record.dir, config, sign=config.stranger is None)
        cut_back(record.dir, restored)
        forced = [*record.resume.get("forced", []), *others]
        record.resume |= exactness(job) | {"sessions": record.resume.get("sessions", 0) + 1}
        if forced:
            record.resume |= {"exact": False, "forced": forced, "reason": f"resumed in spite of {'; '.join(forced)}"}
        record.status, record.error, record.metrics = "running", None, {}
        record.device, record.threads = describe(job.device), torch.get_num_threads()
        record.durations = {"setup": time.perf_counter() - started}
        announce(record)
        return carry_out(job, record, wandb_mode, restored)


def _newest(folder: Path) -> Checkpoint | None:
    problems: list[str] = []
    restored = newest_valid(folder / "checkpoints", problems)
    if restored is None:
        return None
    for problem in problems:
        notice(f"{problem}; using {restored.folder.name} instead")
    if missing := META - restored.meta.keys():
        raise CheckpointError(f"the metadata of {restored.folder} lacks {', '.join(sorted(missing))}")
    for name, size in restored.meta["journal"].items():
        if (folder / name).stat().st_size < size:
            raise CheckpointError(f"{folder / name} has lost rows that were written before {restored.folder.name}")
    return restored


def _trained_with(restored: Checkpoint, *, mine: bool) -> dict[str, Any]:
    """Return the settings in a checkpoint. Those that its version of the lab did not have are at their defaults.

    Args:
        restored: the checkpoint.
        mine: whether it is the user's own.
    """
    before: dict[str, Any] = restored.meta["config"]
    if restored.meta["surroundings"].get("deep-learning-lab") == summary.versions().get("deep-learning-lab"):
        return before
    with TemporaryDirectory() as place:
        path = Path(place) / "config.yaml"
        path.write_text(yaml.safe_dump(before), encoding="utf-8")
        try:
            return redact(load(str(path), trust=mine).as_dict())  # type: ignore[no-any-return]
        except ConfigError:  # a setting is gone, which is a difference to name
            return before


def _refuse(
    folder: Path, changes: list[str], before: dict[str, Any], config: Config, others: list[str], *, force: bool
) -> None:
    """Raise ConfigError if the run cannot be resumed, or should not be resumed without `force`."""

    lengths = [name for name in config.experiment.lengths if _length(before, name) != _length(config.as_dict(), name)]
    for name in lengths:
        old, new = _length(before, name), _length(config.as_dict(), name)
        if old is not None and new is not None and new < old:
            raise ConfigError(f"{name} can only grow when a run is resumed: it must be at least {old}, received {new}")
    only_longer = len(changes) == len(lengths) == 1
    if changes and not (force or only_longer):
        raise ConfigError(
            f"{folder} was trained with other settings ({'; '.join(changes)}); --force continues from its checkpoint "
            "as a new run with the new settings"
        )
    if others and not force:
        raise ConfigError(
            f"{folder} cannot be resumed exactly: its checkpoint was written under other conditions "
            f"({'; '.join(others)}); --force resumes it anyway, and the summary says so"
        )


def _length(settings: Mapping[str, Any], name: str) -> float | None:
    found = setting(settings, name)
    return found if isinstance(found, int | float) else None


def _fork(record: Summary, restored: Checkpoint, config: Config) -> tuple[Summary, Checkpoint]:
    """Create a new run with another config, which continues from the checkpoint `restored`."""
    run_id = summary.new_run_id(config.common.seed)
    folder = record.dir.parent.parent / config.common.name / run_id
    checkpoints = folder / "checkpoints"
    (checkpoints / SEGMENTS).mkdir(parents=True)
    settings = redact(config.as_dict())
    write_config(folder, config)
    for name in (METRICS, MEDIA):
        shutil.copyfile(record.dir / name, folder / name)
    for name in ("media", COPIES):
        if (record.dir / name).is_dir():
            shutil.copytree(record.dir / name, folder / name)
    segments = []
    for segment in restored.segments:
        path = checkpoints / SEGMENTS / segment.path.name
        shutil.copyfile(segment.path, path)
        segments.append(replace(segment, path=path))
    at = checkpoints / restored.folder.name
    checkpoint.publish(at, restored.state, {**restored.meta, "config": settings, "run_id": run_id}, segments)
    reference = config.common.reference
    made = replace(
        record,
        name=config.common.name,
        run_id=run_id,
        run_dir=str(folder),
        seed=config.common.seed,
        reference=vars(reference) if reference else {},
        resume={},
        parent={"run_id": record.run_id, "checkpoint": position(restored.folder)},
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        roles=config.roles().as_dict(),
        versions=summary.versions(),
        git=summary.git_state(),
        wandb=None,
    )
    made.write()
    return made, checkpoint.load(at)
