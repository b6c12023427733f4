"""Opening files that may be somebody else's: regular ones alone, through no link, and no more bytes than expected."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from lab.system.files import copy_open

MOST_BYTES = 64 * 2**20
"""Of a file that is read whole, as a config is."""

MOST_JSON, MOST_PARTS, MOST_LEVELS = 8 * 2**20, 200_000, 64
"""Bytes, values and levels of the JSON of a run: its summary, manifests and descriptions of artifacts. The largest that
the lab writes has 10,000 values: the manifest of a replay buffer that was saved a thousand times."""

MARKS = re.compile(rb'(?:[^]\[{},"]++|"(?:[^"\\]++|\\.)*+"?)*+([]\[{},])', re.DOTALL)
"""The next mark of JSON that is not in a text."""

FIRST = 2**16
"""Bytes that are read before more room is made."""

AS_FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
"""A pipe or a device is opened without waiting for it."""
NO_LINK, AS_FOLDER = getattr(os, "O_NOFOLLOW", 0), os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)


def _no_number(name: str) -> None:
    raise ValueError(f"it has the number {name}")


_STRICT = json.JSONDecoder(parse_constant=_no_number)


def open_plain(path: Path, below: Path | None = None) -> BufferedReader:
    """Open a regular file to read its bytes.

    Args:
        path: of the file.
        below: folder that it lies in, at any depth. No link is followed on the way from there. None: the file is named
            by the user, who may use links.

    Raises OSError where there is no such file, FileNotFoundError if there is nothing at all.
    """
    descriptor = os.open(path, AS_FILE) if below is None else _descend(path, below)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_plain(path: Path, below: Path | None = None, most: int = MOST_BYTES) -> bytes:
    """Return the bytes of a regular file; see `open_plain`. Raises OSError for more than `most` bytes too."""
    with open_plain(path, below) as file:
        content = file.read(min(most + 1, FIRST))  # room for `most` bytes takes longer to get than most files to read
        if len(content) == FIRST:
            content += file.read(most + 1 - FIRST)
    if len(content) > most:
        raise OSError(errno.EINVAL, f"it has more than {most:,} bytes", str(path))
    return content


def copy_plain(path: Path, below: Path, target: Path) -> None:
    """Copy the bytes of a regular file into a new one; see `open_plain`."""
    with open_plain(path, below) as source:
        copy_open(source, target)


def read_json(path: Path, below: Path | None = None, most: int = MOST_JSON, parts: int = MOST_PARTS) -> Any:
    """Return what a JSON file holds; see `read_plain` and `parse_json`. Raises OSError and ValueError as they do."""
    return parse_json(read_plain(path, below, most), parts)


def parse_json(content: bytes, parts: int = MOST_PARTS) -> Any:
    """Return what strict JSON in UTF-8 holds.

    Args:
        content: the JSON.
        parts: values that it may have, those inside others too. They are counted first: one of two bytes may take 200
            bytes of memory.

    Raises ValueError for what is no such JSON, for more values, and for more than `MOST_LEVELS` inside each other.
    """
    brackets = content.count(b"[") + content.count(b"{")
    if brackets > MOST_LEVELS or (len(content) > parts and brackets + content.count(b",") > parts):
        _require_few(content, parts)
    return _STRICT.decode(content.decode("utf-8-sig"))


def _require_few(content: bytes, parts: int) -> None:
    """Raise ValueError for too many values or levels. What is no JSON at all may pass, and takes no memory either."""
    found = level = 0
    for match in MARKS.finditer(content):
        mark = match[1]
        if mark in b"]}":
            level -= 1
            if level < 0:
                return
            continue
        found += 1
        level += mark != b","
        if found > parts:
            raise ValueError(f"it has more than {parts:,} values")
        if level > MOST_LEVELS:
            raise ValueError(f"it has more than {MOST_LEVELS} levels")


def is_plain(path: Path, below: Path) -> bool:
    """Whether there is a regular file that can be opened; see `open_plain`."""
    try:
        open_plain(path, below).close()
    except OSError:
        return False
    return True


def first_link(folder: Path, within: str) -> Path | None:
    """Return a link or special file somewhere below a folder; None if there are only files and folders.

    Args:
        folder: to look through.
        within: name of a folder in it whose links may stay if they lead to a place inside that.
    """
    free = folder.resolve() / within
    for path, mode in _walk(folder):
        if stat.S_ISLNK(mode) and path.is_relative_to(folder / within) and path != folder / within:
            if path.resolve().is_relative_to(free):
                continue
        elif stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            continue
        return path
    return None


def unshare(path: Path) -> None:
    """Give a file bytes of its own if it has several names: what is written to it must not change the others."""
    if os.path.lexists(path) and path.lstat().st_nlink > 1 and not path.is_symlink():
        own = path.with_name(f".{path.name}.own")
        own.unlink(missing_ok=True)
        with path.open("rb") as source:
            copy_open(source, own)
        own.replace(path)


def _descend(path: Path, below: Path) -> int:
    """Return a descriptor of the file, having opened each folder on the way by itself."""
    *folders, name = path.relative_to(below).parts
    if ".." in (*folders, name):
        raise OSError(errno.EINVAL, "it lies elsewhere", str(path))
    at = os.open(below, AS_FOLDER)
    try:
        for folder in folders:
            inner = os.open(folder, AS_FOLDER | NO_LINK, dir_fd=at)
            os.close(at)
            at = inner
        return os.open(name, AS_FILE | NO_LINK, dir_fd=at)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            raise OSError(errno.EINVAL, "it is no regular file, or lies behind a link", str(path)) from error
        error.filename = str(path)
        raise
    finally:
        os.close(at)


def _walk(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield all that is below a folder, with its mode; links are not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            yield Path(entry.path), mode
            if stat.S_ISDIR(mode):
                yield from _walk(Path(entry.path))
