"""The journal of a run: `metrics.jsonl` and `media.jsonl`, the complete record of everything that was logged."""

from __future__ import annotations

import heapq
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab.console.wording import size
from lab.errors import CheckpointError, SavingError
from lab.system.files import sync_folder
from lab.system.opening import open_plain, parse_json, unshare

METRICS, MEDIA = "metrics.jsonl", "media.jsonl"

LARGEST = 10**10
"""Bytes of a file of the journal. A row has 200 to 800 in the lab's experiments: this holds ten million of a thousand,
a row for each step of a run of weeks."""
LONGEST = 4 * 2**20
"""Bytes of a row: some 50,000 metrics."""
BLOCK = 4 * 2**20
"""Bytes that are read at once."""


class Journal:
    """Appends strict JSON rows to both files.

    A row of metrics is `{"time", "axis", <axis>: n, <metric>: number|null}`. A row of media is `{"time", "axis",
    <axis>: n, "name", "file", "after"}`: its file is in `media/`, and `after` is the number of rows of metrics before
    it. Raises SavingError when a row cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (METRICS, MEDIA):
            unshare(folder / name)
        self.files = {name: (folder / name).open("a", encoding="utf-8") for name in (METRICS, MEDIA)}
        sync_folder(folder)
        self.rows = {name: _count_rows(folder / name) for name in (METRICS, MEDIA)}

    def log(self, metrics: Mapping[str, float], *, axis: str, at: int) -> None:
        values = {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}
        self._append(METRICS, {"axis": axis, axis: at, **values})

    def media(self, name: str, path: Path, *, axis: str, at: int) -> None:
        row = {"axis": axis, axis: at, "name": name, "file": path.name, "after": self.rows[METRICS]}
        self._append(MEDIA, row)

    def finish(self, summary: Mapping[str, Any]) -> None:
        for file in self.files.values():
            with suppress(OSError):  # a row that could not be written has already raised an error
                file.close()

    def position(self) -> dict[str, int]:
        """Force all rows to the disk, and return the length of each file in bytes. Raises SavingError where somebody
        has removed or moved the folder meanwhile: what is written now would be lost, or lie in half a folder."""
        for name, file in self.files.items():
            try:
                there = os.path.samestat(os.fstat(file.fileno()), (self.folder / name).stat())
            except OSError:
                there = False
            if not there:
                raise SavingError(f"{self.folder} has been removed or moved while the run was at work")
            os.fsync(file.fileno())
        return {name: file.tell() for name, file in self.files.items()}

    def _append(self, name: str, row: dict[str, Any]) -> None:
        try:
            self.files[name].write(json.dumps({"time": round(time.time(), 3), **row}, allow_nan=False) + "\n")
            self.files[name].flush()  # to the operating system: a killed run keeps its rows
        except OSError as error:
            raise SavingError(f"cannot write to the journal {self.folder / name}: {error.strerror}") from error
        self.rows[name] += 1


def cut_journal(folder: Path, position: Mapping[str, int]) -> None:
    """Truncate the journal to `position`, and remove media files that it no longer names, even with another ending, as
    the notes beside a sound have."""
    for name in (METRICS, MEDIA):
        unshare(folder / name)
        with (folder / name).open("ab") as file:
            file.truncate(position.get(name, 0))
            os.fsync(file.fileno())
    try:
        named = {Path(str(row.get("file"))).stem for row in read_journal(folder / MEDIA)}
    except ValueError as error:
        raise CheckpointError(f"the journal {folder / MEDIA} cannot be read: {error}") from error
    for path in (folder / "media").glob("*"):
        if path.stem not in named:
            path.unlink()


def too_large(path: Path, taken: int) -> str | None:
    """Return in a sentence that a file of the journal, of so many bytes, is larger than that of any run; None where it
    is not."""
    return (
        f"{path} has {size(taken)}, and the journal of a run has {size(LARGEST)} at most" if taken > LARGEST else None
    )


def lines_of(path: Path) -> Iterator[list[bytes]]:
    """Yield the complete lines of a file of the journal, without their ends, some megabytes of them at a time. An
    incomplete last one, left by a crash, is skipped.

    Raises OSError where it cannot be opened, ValueError where it is larger than that of any run, or a line is longer.
    """
    with open_plain(path, path.parent) as file:
        if wrong := too_large(path, os.fstat(file.fileno()).st_size):
            raise ValueError(wrong)
        rest = b""
        while block := file.read(BLOCK):
            *lines, rest = (rest + block).split(b"\n")
            if max(map(len, (*lines, rest))) > LONGEST:
                raise ValueError(f"{path} has a line of more than {size(LONGEST)}, which is no row of a journal")
            yield lines


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows. Raises ValueError for a line that is no row, and as `lines_of` does."""
    for lines in lines_of(path):
        yield from map(_row, lines)


def _row(line: bytes) -> dict[str, Any]:
    row = parse_json(line)
    if not isinstance(row, dict):
        raise ValueError(f"a line is no row: {line[:40]!r}")  # noqa: TRY004  # as for a line that is no JSON
    return row


def _count_rows(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK), b""))


def read_in_order(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file, row) of both files in the order in which the rows were written."""
    metrics = ((number, METRICS, row) for number, row in enumerate(read_journal(folder / METRICS), start=1))
    media = ((row.get("after", math.inf), MEDIA, row) for row in read_journal(folder / MEDIA))
    for _, file, row in heapq.merge(metrics, media, key=lambda item: item[0]):  # stable: metrics first
        yield file, row
