"""Going back to a checkpoint: what the run folder gained after it is removed."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.runs.artifacts import FOLDER as ARTIFACTS
from lab.runs.folder import MARK
from lab.saving.checkpoint import Checkpoint, leftovers
from lab.saving.saver import TITLES, prune, rolling
from lab.tracking.journal import cut_journal


def cut_back(folder: Path, checkpoint: Checkpoint | None) -> None:
    """Make the folder what it was when `checkpoint` was written, or at the run's beginning for None: rows, media and
    results from later are removed.

    A kill in the middle leaves a folder that can be cut back again.
    """
    for path in rolling(folder / "checkpoints"):
        if checkpoint and path.name > checkpoint.folder.name:  # damaged, or it would be the one to go back to
            shutil.rmtree(path)
    results = [folder / "checkpoints" / title for title in TITLES]
    for path in (*results, folder / ARTIFACTS, folder / "encoder"):
        shutil.rmtree(path, ignore_errors=True)
    (folder / "wandb" / MARK).unlink(missing_ok=True)
    for path in leftovers(folder / "checkpoints"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    prune(folder / "checkpoints")
    cut_journal(folder, checkpoint.meta["journal"] if checkpoint else {})
