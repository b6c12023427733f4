"""Atomic writes: after a crash a file has its old content or its new content, never a part of it."""

from __future__ import annotations

import errno
import hashlib
import json
import mimetypes
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Any

COPIED = 2**20
"""Bytes at a time."""


def is_name(text: str) -> bool:
    """Whether a text may be the name of a file or folder, and no path, nor hidden, nor with characters that a
    terminal obeys."""
    return text.isprintable() and re.fullmatch(r"[^/\\.][^/\\]*", text) is not None


def free_name(path: Path) -> Path:
    """Return the path where neither it is there yet nor what is written beside it, as `run.json` beside `run.zip`;
    else the first free one of `run-2.zip` and so on. A link is there, wherever it leads."""
    names, number, stem = os.listdir(path.parent), 1, path.stem
    while any(name == stem or name.startswith((f"{stem}.", f"{stem}-")) for name in names):
        number += 1
        stem = f"{path.stem}-{number}"
    return path.with_name(f"{stem}{path.suffix}")


def at_home(path: str | os.PathLike[str]) -> Path:
    """Return a path with `~` and `~user` replaced by that user's home; as it is where there is no such user."""
    return Path(os.path.expanduser(path))  # Path.expanduser raises RuntimeError for an unknown user


def is_for_file(path: Path) -> bool:
    """Whether the name ends as files of a known kind do, such as `x.jpg` or `x.csv`, and no folder stands there. The
    name of a folder may have a dot too: `run.v2`."""
    return mimetypes.guess_type(path.name)[0] is not None and not path.is_dir()


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to a temporary file beside `path`, force it to the disk, and rename it to `path`.

    Raises OSError, with no temporary file left, where the disk refuses.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with _new(part) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    sync_folder(path.parent)


def _new(path: Path) -> BufferedWriter:
    """Open a file that is new: what stands there was left by a crash, or is a link that somebody put there."""
    try:
        return path.open("xb")
    except FileExistsError:
        path.unlink()
        return path.open("xb")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as strict JSON. Raises ValueError for a NaN or an infinity."""
    write_atomic(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def copy_open(source: BufferedReader, target: Path) -> None:
    """Copy the bytes of an open file to a new one, and force them to the disk. What is a hole in it stays one, where
    the system tells: a file of a terabyte may take no space."""
    size = os.fstat(source.fileno()).st_size
    with target.open("xb") as copy:
        for start, end in _filled(source.fileno(), size):
            source.seek(start)
            copy.seek(start)
            while start < end and (block := source.read(min(COPIED, end - start))):
                copy.write(block)
                start += len(block)
        copy.truncate(size)
        copy.flush()
        os.fsync(copy.fileno())


def _filled(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield from where to where a file has bytes that are no hole."""
    if not hasattr(os, "SEEK_DATA"):  # Windows
        yield 0, size
        return
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return  # nothing but a hole from here on
        end = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        yield start, end


def make_folder(folder: Path) -> None:
    """Make a folder with all above it, and force their names to the disk. A file that is forced to the disk is lost
    with its folder when the power goes and the name of the folder was not forced."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def publish_folder(staging: Path, folder: Path) -> None:
    """Force everything in `staging` to the disk, and rename it to `folder`: after a crash that is there with all of it,
    or not at all. Raises OSError if `folder` exists and is not empty."""
    for path in (*staging.rglob("*"), staging):
        _sync(path)
    make_folder(folder.parent)
    staging.rename(folder)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Force a rename inside `folder` to the disk. Windows cannot open folders, and does not need this."""
    _sync(folder)


def _sync(path: Path) -> None:
    """Force a file's content, or the names in a folder, to the disk."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256(path: Path) -> str:
    """Return the hex digest of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def print_of(path: Path) -> dict[str, Any]:
    """Return the size and the hash of a file, by which it is known again."""
    return {"size": path.stat().st_size, "sha256": sha256(path)}
