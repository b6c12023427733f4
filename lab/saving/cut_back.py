"""Restores a run folder to the state of a checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.runs.artifacts import FOLDER as ARTIFACTS
from lab.runs.folder import MARK
from lab.saving.checkpoint import Checkpoint, leftovers
from lab.saving.saver import RESULTS, prune, rolling
from lab.tracking.journal import cut_journal


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
    for path in leftovers(folder / "checkpoints"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    prune(folder / "checkpoints")
    cut_journal(folder, checkpoint.meta["journal"] if checkpoint else {})
