"""The lock of a run's folder: one process at a time works in it, and whoever looks disturbs nobody."""

from __future__ import annotations

import errno
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lab.errors import ConfigError
from lab.system.files import make_folder, publish_folder
from lab.system.opening import first_link, is_plain

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CAN_ASK = hasattr(fcntl, "F_OFD_GETLK")
"""Whether this system has locks that others can ask about without taking them, as Linux has."""

LOCK = ".lock"
NEW = ".new-"
"""Prefix of a run's folder in the runs folder until it is complete."""
FORK = ".fork"
"""Name of a fork's folder in its parent's until it is complete."""
MARK = "synced.json"
"""File in `wandb/` that says that W&B has the whole run."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process. The lock ends with the process, however that ends.

    Raises ConfigError when another process holds it, or nothing can be written there.
    """
    lock = FileLock(folder / LOCK)
    try:
        _require_own(folder / LOCK)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise ConfigError(f"another process works in {folder}; wait until it ends, or end it") from error
    except OSError as error:
        raise ConfigError(f"cannot write to the run folder {folder}: {error.strerror}") from error
    try:
        with _shown_as_locked(folder / LOCK):
            yield
    finally:
        lock.release()


def create(folder: Path, staging: Path, fill: Callable[[Path], None], held: ExitStack) -> None:
    """Make a run's folder and hold it for this process, until `held` is closed.

    It is filled under another name, so that a kill or a power cut leaves a whole run or none. Raises OSError, with
    nothing left, if the disk refuses or `folder` is there already.
    """
    make_folder(staging.parent)
    staging.mkdir()
    try:
        if os.name == "posix":  # the lock stays on the renamed folder; Windows renames none with a lock in it
            held.enter_context(locked(staging))
        fill(staging)
        publish_folder(staging, folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    if os.name != "posix":
        held.enter_context(locked(folder))


def require_no_links(folder: Path) -> None:
    """Raise ConfigError where a run holds links or special files: what is written there would go elsewhere.

    W&B puts links into its own folder, to other places in that. In a run that was moved they lead to where it was, and
    are removed.
    """
    while (link := first_link(folder, "wandb")) is not None:
        if link.is_symlink() and folder / "wandb" in link.parents:
            link.unlink()
            continue
        raise ConfigError(f"{link} is a link or no file, and a run holds files and folders alone; remove it")


def without_links(folder: Path) -> Callable[[], None]:
    """Look for links as `require_no_links` does, and return a function that looks again: whoever else can write there
    may put one in the way while the run is read. It also raises ConfigError where another folder stands there."""
    require_no_links(folder)
    was = folder.stat()

    def again() -> None:
        require_no_links(folder)
        if not os.path.samestat(was, folder.stat()):
            raise ConfigError(f"{folder} is another folder than a moment ago; nothing was changed in it")

    return again


def _require_own(path: Path) -> None:
    """Raise OSError where the lock's file, which is emptied, is a link, a special file, or a file with another name."""
    if not os.path.lexists(path):
        return
    if not is_plain(path, path.parent) or (path.stat().st_nlink > 1 and path.stat().st_size > 0):
        raise OSError(errno.EINVAL, f"{path.name} is a link or no file")


def at_work(folder: Path) -> bool:
    """Return whether a process works in the folder.

    Where the system can only be asked by taking the lock (Windows, macOS), it is taken for a moment.
    """
    try:
        return _is_locked(folder / LOCK)
    except OSError:
        pass
    try:
        with locked(folder):
            return False
    except ConfigError as error:
        return isinstance(error.__cause__, Timeout)


@contextmanager
def _shown_as_locked(path: Path) -> Iterator[None]:
    """Hold a lock on an existing file that `_is_locked` sees, for as long as this process lives at most.

    Does nothing where the system has no such locks, or where the file system counts the lock that this process already
    holds on the file as one of the same kind (NFS): `_is_locked` sees that one then.
    """
    if not CAN_ASK:
        yield
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
        yield
    finally:
        os.close(descriptor)


def _is_locked(path: Path) -> bool:
    """Whether a process holds such a lock on a file; False where there is no file. Nothing is changed, not even for a
    moment. Raises OSError where the system cannot be asked."""
    if not CAN_ASK:
        raise OSError("this system has no locks that can be asked about")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_WRLCK))
    finally:
        os.close(descriptor)
    return bool(struct.unpack_from("h", found)[0] != fcntl.F_UNLCK)


def _whole_file(kind: int) -> bytes:
    """Return C's `struct flock` for a lock on a whole file: type, whence, start, length, process."""
    return struct.pack("hhqqi0q", kind, os.SEEK_SET, 0, 0, 0)
