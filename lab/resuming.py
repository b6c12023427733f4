"""Resumes a run from its newest valid checkpoint, exactly, or as a new run that trains longer."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from lab.config.files import setting
from lab.config.values import dump
from lab.configuration import Config, load
from lab.console.notices import notice
from lab.errors import CheckpointError, ConfigError
from lab.forks import LED_TO, fork
from lab.job import exactness, prepare, require_secrets
from lab.needs import needs_of
from lab.recording import write_again, writing_to
from lab.runner import carry_out
from lab.runs import summary
from lab.runs.folder import FORK, locked, without_links
from lab.runs.summary import Summary
from lab.saving.checkpoint import Checkpoint, blamed
from lab.saving.cut_back import cut_back, newest
from lab.saving.own_data import moved, require_place, require_same
from lab.saving.saver import position
from lab.saving.surroundings import changes, differences, surroundings
from lab.system.devices import describe
from lab.system.process import process_as_found
from lab.tracking.destination import chosen_mode
from lab.tracking.redact import redact


@process_as_found()
def resume(
    folder: Path,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    force: bool = False,
    trust: bool | None = None,
    runs_dir: str | Path | None = None,
    announce: Callable[[Summary], None] = lambda record: None,
) -> Summary:
    """Resume the run in `folder`, train it to its end and return its summary. This is `lab resume`.

    Without overrides the run ends as if it had never been interrupted, bitwise on the CPU. With a larger length
    (`Experiment.lengths`), or with any other override and `force`, it becomes a new run with this one as its parent.
    That lies beside this one, or in `runs_dir` where this one lies in no folder of runs.
    Somebody else's run may only name classes of the lab, unless `trust` takes it for the user's own.
    Raises CheckpointError if no checkpoint is valid, SavingError for a full disk, and ConfigError if the run is
    complete, is running in another process, or differs from its checkpoint in config, machine or versions.
    """
    started = time.perf_counter()
    wandb_mode = chosen_mode()
    summary.read_summary(folder)  # raises ConfigError if it is not a run
    with ExitStack() as held:
        of_this = held.enter_context(ExitStack())
        of_this.enter_context(locked(folder))
        shutil.rmtree(folder / FORK, ignore_errors=True)  # left by a fork that was killed
        unchanged = without_links(folder)
        record = summary.read_summary(folder)
        config = load(str(folder / "config.yaml"), overrides, trust=trust)
        record.mine &= config.stranger is None
        restored = newest(folder, signed_for=record.run_id if trust is None and record.mine else None)
        before = (
            _trained_with(restored, config)
            if restored
            else redact(load(str(folder / "config.yaml"), trust=trust).as_dict())
        )
        threads = _threads(restored) if before.get("threads") is None else None
        if threads is not None and config.common.threads == threads:  # said once more, and nothing else
            config.record("threads", None)
            config.instantiate({})
        every = list(differences(before, redact(config.as_dict())))
        changed = [change for change in every if not moved(record, change)]
        if not changed and record.status == "completed":
            lengths = config.experiment.lengths
            given = next((name for name in lengths if _length(before, name) is not None), lengths[0])
            longer = f"to train it longer, give a larger --{given}=N"
            raise ConfigError(f"{folder} is complete; {(restored and config.experiment.ended(restored)) or longer}")
        require_secrets(config, folder)
        needs = needs_of(config, folder.parent.parent, own=folder, fast_dev_run=record.fast_dev_run)
        require_place(record, config.as_dict())
        job = prepare(config, needs, fast_dev_run=record.fast_dev_run, threads=threads)
        require_same(record, job.experiment.dataset)
        others = list(differences(restored.meta["surroundings"], surroundings(job.device))) if restored else []
        wrong = None
        if restored:
            with blamed(restored.folder):
                others += job.experiment.lacks(restored)
                wrong = job.experiment.misfit(restored, _changed(restored, config))
        _refuse(folder, changed, before, config, others, force=force)
        if changed and restored and 0 < (total := job.experiment.total_steps or 0) < position(restored.folder):
            raise ConfigError(
                f"{'; '.join(changed)}: training would end at step {total:,}, but the checkpoint of {folder} is at "
                f"step {position(restored.folder):,} already"
            )
        if wrong:
            raise (ConfigError if changed else CheckpointError)(wrong)
        for line in [*config.notes, *job.experiment.notes]:
            notice(line)
        if restored is None:
            if record.resume.get("checkpoint") is not None:
                raise CheckpointError(
                    f"{folder} has lost its checkpoints: the last one was at {record.resume['checkpoint']}"
                )
            if changed:
                raise ConfigError(f"{folder} has no checkpoint to continue with another config; use `lab run`")
            notice("the run ended before its first checkpoint, so it starts again in the same folder")
        elif changed:
            unchanged()
            with writing_to(folder):
                record, restored = fork(record, restored, config, held, runs_dir)
            of_this.close()  # the new run needs nothing of this one any more
            unchanged = without_links(record.dir)
            notice(f"{'; '.join(changed)}: a new run continues from step {position(restored.folder):,} of {folder}")
        forced = [*record.resume.get("forced", []), *others]
        record.resume |= exactness(job) | {"sessions": record.resume.get("sessions", 0) + 1}
        if forced:
            record.resume |= {"exact": False, "forced": forced, "reason": f"resumed in spite of {'; '.join(forced)}"}
        _forget_end(record)
        record.device, record.threads = describe(job.device), torch.get_num_threads()
        record.durations = {"setup": time.perf_counter() - started}
        unchanged()
        with writing_to(record.dir):
            elsewhere = changed != every  # the data were moved, which later commands need to know
            if elsewhere:
                record.dataset = asdict(job.experiment.dataset)
            # Before its results are removed: a summary never says more than is on the disk.
            write_again(record, config if elsewhere else None)
            cut_back(record.dir, restored)
        announce(record)
        return carry_out(job, record, wandb_mode, restored, _changed(restored, config) if restored else ())


def _threads(restored: Checkpoint | None) -> int | None:
    """Return the number of threads that a checkpoint was written with; None where this machine has fewer CPUs."""
    found = restored.meta["surroundings"].get("threads") if restored else None
    return found if type(found) is int and 1 <= found <= (os.cpu_count() or 1) else None


def _forget_end(record: Summary) -> None:
    """Take out of a summary what the run's end writes into it: until it ends again, it says nothing about that."""
    record.status, record.error, record.judged, record.throughput, record.artifacts = "running", None, "", None, []
    record.metrics, record.baselines, record.bounds, record.descriptions = {}, {}, {}, {}
    for measure in (record.reference, record.target):
        for name in ("verdict", "reason"):
            measure.pop(name, None)


def _changed(restored: Checkpoint, config: Config) -> set[str]:
    """Return the dotted names of the settings that differ from those that led to a checkpoint."""
    before = _trained_with(restored, config, LED_TO)
    return {name for name, _, _ in changes(before, redact(config.as_dict()))}


def _trained_with(restored: Checkpoint, config: Config, key: str = "config") -> dict[str, Any]:
    """Return the settings in a checkpoint. Those that its state of the lab did not have are at their defaults.

    Args:
        restored: the checkpoint.
        config: that of the run that goes on.
        key: which of them: `config` are those of the run that it is in, `LED_TO` those that led to its state.
    """
    before: dict[str, Any] = restored.meta.get(key) or restored.meta["config"]
    if before == redact(config.as_dict()):
        return before
    with TemporaryDirectory() as place:
        path = Path(place) / "config.yaml"
        path.write_text(dump(before), encoding="utf-8")
        try:
            return redact(load(str(path), trust=config.stranger is None).as_dict())  # type: ignore[no-any-return]
        except ConfigError:  # a setting is gone, which is a difference to name
            return before


def _refuse(
    folder: Path, changed: list[str], before: dict[str, Any], config: Config, others: list[str], *, force: bool
) -> None:
    """Raise ConfigError if the run cannot be resumed, or should not be resumed without `force`."""
    lengths = [name for name in config.experiment.lengths if _length(before, name) != _length(config.as_dict(), name)]
    for name in lengths:
        old, new = _length(before, name), _length(config.as_dict(), name)
        if old is not None and new is not None and new < old:
            raise ConfigError(f"{name} can only grow when a run is resumed: it must be at least {old}, received {new}")
    only_longer = len(changed) == len(lengths) == 1
    if changed and not (force or only_longer):
        raise ConfigError(
            f"{folder} was trained with other settings ({'; '.join(changed)}); --force continues from its checkpoint "
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
