"""A run's folder: one process at a time works in it, and going back to a checkpoint undoes all that came later."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from lab.errors import ConfigError

if TYPE_CHECKING:
    from lab.resume.checkpoint import Checkpoint

LOCK = ".lock"
MARK = "synced.json"
"""Says in `wandb/` that W&B has the whole run."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the lock goes with the process, however that ends.

    Raises ConfigError when another process holds it, or nothing can be written there.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise ConfigError(f"another process is at work in {folder}; wait for its end, or end it") from error
    except OSError as error:
        raise ConfigError(f"cannot write to the run folder {folder}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def at_work(folder: Path) -> bool:
    """Whether a process holds the folder."""
    try:
        with locked(folder):
            return False
    except ConfigError as error:
        return isinstance(error.__cause__, Timeout)


def cut_back(folder: Path, checkpoint: Checkpoint | None) -> None:
    """Make the folder what it was when `checkpoint` was written, or at the run's beginning for None: rows, media and
    results from later are removed.

    A kill in the middle leaves a folder that can be cut back again.
    """
    # Imported here: they need torch, and `lab runs`, which asks whether a process is at work, does not.
    from lab.resume.checkpoint import leftovers
    from lab.resume.saver import prune, rolling
    from lab.tracking import cut_journal

    for path in rolling(folder / "checkpoints"):
        if checkpoint and path.name > checkpoint.folder.name:  # damaged, or it would be the one to go back to
            shutil.rmtree(path)
    for path in (folder / "checkpoints" / "final", folder / "checkpoints" / "best", folder / "encoder"):
        shutil.rmtree(path, ignore_errors=True)
    (folder / "wandb" / MARK).unlink(missing_ok=True)
    for path in leftovers(folder / "checkpoints"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    prune(folder / "checkpoints")
    cut_journal(folder, checkpoint.meta["journal"] if checkpoint else {})
