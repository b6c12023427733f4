"""Locks on files that other processes may ask about without taking them, as Linux has them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CAN_ASK = hasattr(fcntl, "F_OFD_GETLK")


@contextmanager
def shown_as_locked(path: Path) -> Iterator[None]:
    """Hold a lock on an existing file that `is_locked` sees, for as long as this process lives at most.

    Does nothing where the system has no such locks, or where the file system counts the lock that this process already
    holds on the file as one of the same kind (NFS): `is_locked` sees that one then.
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


def is_locked(path: Path) -> bool:
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
