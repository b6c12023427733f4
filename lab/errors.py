"""The errors that the lab raises: one hierarchy, one sentence each, one exit code for each kind."""

from __future__ import annotations

import difflib
import errno
import signal
from collections.abc import Iterable
from typing import ClassVar


class LabError(Exception):
    """Base of all expected failures. The command line prints the sentence and exits with `exit_code`."""

    exit_code: ClassVar[int] = 1


class ConfigError(LabError):
    """The request is wrong: an unknown name or key, an invalid value, a device that is not available."""

    exit_code = 2


class DataError(LabError):
    """A data set is missing, damaged, or cannot be downloaded."""

    exit_code = 2


class DivergedError(LabError):
    """Training produced a NaN or an infinity."""

    exit_code = 3


class EnvironmentFailedError(LabError):
    """An environment raised an error or returned a NaN, or its worker process died or stopped responding."""

    exit_code = 4


class DataWorkerError(LabError):
    """A data loading process died."""

    exit_code = 4


class SavingError(LabError):
    """The run could not write to the disk. What was written before is intact."""

    exit_code = 1


class OutOfMemoryError(LabError):
    """The machine or its accelerator has not the memory that the work needs."""

    exit_code = 1


class CheckpointError(LabError):
    """The run has no valid checkpoint: there is none, or its bytes differ from what was written."""

    exit_code = 5


class Interrupted(BaseException):
    """A signal asked the run to end. A BaseException, so that `except Exception` in a library does not catch it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"by {signal.Signals(signal_number).name}")
        self.exit_code = 128 + signal_number


FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system answers where a disk is full, by its size or by what a user may have of it."""
DISK = FULL | {errno.EROFS, errno.EIO}
"""What it answers where the disk does not take what it took before."""


def not_written(where: object, error: OSError) -> LabError:
    """Return what to raise where something cannot be written: SavingError for the disk's sake, else ConfigError, since
    a folder is missing or another one is meant."""
    kind = SavingError if error.errno in DISK else ConfigError
    return kind(f"cannot write {where}: {error.strerror or error}")


TOO_LARGE = ("can't allocate memory", "not enough memory", "out of memory", "Storage size calculation overflowed")
"""How torch says that memory is lacking."""


def lack_of_memory(error: BaseException) -> str | None:
    """Return in a phrase that memory was lacking, with what the library says; None for an error of another kind."""
    said = " ".join(str(error).split())[:160]
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in said for words in TOO_LARGE)
    ):
        return f"more memory than there is{said and f' ({said})'}"
    return None


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return the hint "; did you mean 'x'?" for the closest candidate, or "" when none is close."""
    match = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return f"; did you mean {match[0]!r}?" if match else ""
