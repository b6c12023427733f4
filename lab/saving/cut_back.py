"""The checkpoint that a run is resumed from, and its folder as it was then."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.console.notices import notice
from lab.errors import CheckpointError
from lab.runs.artifacts import FOLDER as ARTIFACTS
from lab.runs.folder import MARK
from lab.runs.readings import number
from lab.saving.checkpoint import Checkpoint, leftovers
from lab.saving.saver import RESULTS, newest_valid, prune, rolling
from lab.tracking.journal import MEDIA, METRICS, cut_journal, too_large

META = {"run_id", "config", "surroundings", "journal", "train_seconds"}


def newest(folder: Path, signed_for: str | None = None) -> Checkpoint | None:
    """Return the checkpoint to resume a run from; None if it ended before its first one.

    `signed_for` is the id of the run where its checkpoints must be signed as the user's own.

    Raises CheckpointError where none is valid, or the newest valid one has not what a run writes beside it.
    """
    problems: list[str] = []
    restored = newest_valid(folder / "checkpoints", problems, signed_for)
    if restored is None:
        return None
    for problem in problems:
        notice(f"{problem}; using {restored.folder.name} instead")
    if missing := META - restored.meta.keys():
        raise CheckpointError(f"the metadata of {restored.folder} lacks {', '.join(sorted(missing))}")
    sizes = restored.meta["journal"]
    plain = all(isinstance(restored.meta[name], dict) for name in ("config", "surroundings", "journal"))
    if not plain or number(restored.meta["train_seconds"]) is None:
        raise CheckpointError(f"the metadata of {restored.folder} is not what a run writes")
    for name in (METRICS, MEDIA):
        there = (folder / name).stat().st_size if (folder / name).exists() else -1
        if not (isinstance(size := sizes.get(name), int) and 0 <= size <= there):
            raise CheckpointError(f"{folder / name} has lost rows that were written before {restored.folder.name}")
        if wrong := too_large(folder / name, there):
            raise CheckpointError(wrong)
    return restored


def cut_back(folder: Path, checkpoint: Checkpoint | None) -> None:
    """Remove the rows, media and results that were written after `checkpoint`, or all of them for None.

    If this is interrupted by a kill, it can be repeated.
    """
    for path in rolling(folder / "checkpoints"):
        if checkpoint and path.name > checkpoint.folder.name:  # newer but damaged
            shutil.rmtree(path)
    results = [folder / "checkpoints" / name for name in RESULTS]
    for path in (*results, folder / ARTIFACTS, folder / "encoder"):
        shutil.rmtree(path, ignore_errors=True)
    (folder / "wandb" / MARK).unlink(missing_ok=True)
    for path in (*leftovers(folder / "checkpoints"), *folder.glob(".*.part")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    prune(folder / "checkpoints")
    cut_journal(folder, checkpoint.meta["journal"] if checkpoint else {})
