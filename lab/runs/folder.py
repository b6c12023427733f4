"""The lock of a run's folder: one process at a time works in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lab.errors import ConfigError

LOCK = ".lock"
MARK = "synced.json"
"""File in `wandb/` that says that W&B has the whole run."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process. The lock ends with the process, however that ends.

    Raises ConfigError when another process holds it, or nothing can be written there.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise ConfigError(f"another process works in {folder}; wait until it ends, or end it") from error
    except OSError as error:
        raise ConfigError(f"cannot write to the run folder {folder}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def at_work(folder: Path) -> bool:
    """Return whether a process works in the folder."""
    try:
        with locked(folder):
            return False
    except ConfigError as error:
        return isinstance(error.__cause__, Timeout)
