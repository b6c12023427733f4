"""The rolling checkpoints of a run: when they are saved, how many are kept, and which one to resume from."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from lab.config.types import PositiveInt
from lab.errors import CheckpointError, SavingError
from lab.saving.checkpoint import (
    SEGMENTS,
    Checkpoint,
    Segment,
    load,
    publish,
    require_no_link,
    segment_names,
    write_segment,
)
from lab.system.signals import Stop

KEPT = 2  # rolling checkpoints
LONGEST = 300.0  # seconds between two of them, where saving leaves the rest of the run unchanged
RESULTS = ("final", "best", "last")
"""Checkpoints of a finished run: what is evaluated, the best one on the way, and where training ended."""


@dataclass(frozen=True)
class CheckpointSettings:
    """How often a run saves itself. Where that leaves the rest of the run unchanged, it also does after five minutes.

    Args:
        steps: environment steps or batches between checkpoints; null for the default of this kind of experiment.
        epochs: epochs between checkpoints, in place of `steps`; not for agents.
    """

    steps: PositiveInt | None = None
    epochs: PositiveInt | None = None


class Cadence(NamedTuple):
    """Steps between two checkpoints, and whether saving leaves the rest of the run unchanged."""

    every: int
    neutral: bool = True


@dataclass(frozen=True)
class Rows:
    """Rows that were added to an append-only log, such as a replay buffer, since its last checkpoint.

    Args:
        start: index of the first new row, counted from the beginning of the run.
        new: the new rows by name, each of shape `(rows, ...)`.
        oldest: index of the first row that is still needed.
    """

    start: int
    new: Mapping[str, Tensor]
    oldest: int


class Saver:
    """Saves a run at its safe points, the moments at which its whole state is known.

    Args:
        folder: of the checkpoints.
        meta: returns the metadata of a checkpoint: config, versions, offset of the journal.
        stop: whether the run has been asked to end.
        cadence: when to save. If it is not neutral, neither a signal nor the clock causes an additional checkpoint.
        resumed: the checkpoint that the run was resumed from.
        sign: whether the checkpoints are the user's own.
    """

    def __init__(
        self,
        folder: Path,
        meta: Callable[[], dict[str, Any]],
        stop: Stop,
        cadence: Cadence,
        resumed: Checkpoint | None = None,
        *,
        sign: bool = True,
    ) -> None:
        self.folder, self.meta, self.stop, self.sign = folder, meta, stop, sign
        self.every, self.neutral = cadence
        self.seconds = 0.0
        """Time spent saving in this session."""
        self.clock = time.monotonic()
        """When the run last saved itself, or began this session."""
        self.previous = self.saved = position(resumed.folder) if resumed else -1
        self.segments: list[Segment] = list(resumed.segments) if resumed else []

    def due(self, at: int) -> bool:
        """Whether a checkpoint is due at step `at`, the next safe point after the previous one."""
        return at // self.every > max(self.previous, 0) // self.every

    def safe_point(self, at: int, state: Callable[[], Any], rows: Callable[[], Rows] | None = None) -> None:
        """Save if a checkpoint is due or the last one was long ago. If a signal has asked the run to end, save it and
        raise Interrupted.

        Args:
            at: steps done so far.
            state: returns everything that the run needs to continue from here.
            rows: returns the new rows of the run's append-only log.
        """
        early = self.stop.requested is not None or time.monotonic() - self.clock > LONGEST
        if self.due(at) or (self.neutral and early):
            self.save(at, state, rows)
        self.previous = at
        self.stop.raise_if_requested()

    def save(self, at: int, state: Callable[[], Any], rows: Callable[[], Rows] | None = None) -> None:
        """Save now, unless step `at` has been saved already. Raises SavingError if it cannot be written."""
        if at == self.saved:
            return
        with self.stop.saving():
            self._write(at, state, rows)

    def _write(self, at: int, state: Callable[[], Any], rows: Callable[[], Rows] | None) -> None:
        folder = self.folder / f"step-{at:010d}"
        began = time.perf_counter()
        try:
            require_no_link(self.folder)
            if rows is not None:
                self._append(rows())
            publish(folder, state(), self.meta(), self.segments, sign=self.sign)
            self.previous = self.saved = at
            self.clock = time.monotonic()
            prune(self.folder)
            self.seconds += time.perf_counter() - began
        except OSError as error:
            kept = f"the last checkpoint, at step {self.saved:,}, is intact" if self.saved >= 0 else "there is none yet"
            raise SavingError(f"cannot write the checkpoint {folder}: {error.strerror}; {kept}") from error

    def position(self) -> dict[str, int | None]:
        """Return the step of the newest checkpoint, and the number of steps done after it."""
        if self.saved < 0:
            return {"checkpoint": None, "steps_after_it": max(self.previous, 0)}
        return {"checkpoint": self.saved, "steps_after_it": self.previous - self.saved}

    def _append(self, rows: Rows) -> None:
        if len(next(iter(rows.new.values()))):
            self.segments.append(write_segment(self.folder / SEGMENTS, rows.start, rows.new))
        self.segments = [segment for segment in self.segments if segment.stop > rows.oldest]


def position(folder: Path) -> int:
    """Return the number of steps done at the checkpoint in `folder`."""
    return int(folder.name.rpartition("-")[2])


def misplaced(restored: Checkpoint, step: Any) -> str | None:
    """Return in a sentence that a checkpoint's state is of another `step` than the name of its folder, or None."""
    at = position(restored.folder)
    return None if type(step) is int and step == at else f"the state in {restored.folder} is not of step {at:,}"


def rolling(folder: Path) -> list[Path]:
    """Return the rolling checkpoints in a folder, newest first."""
    return sorted(
        (p for p in folder.glob("step-*") if re.fullmatch(r"step-\d{10}", p.name) and p.is_dir()), reverse=True
    )


def prune(folder: Path) -> None:
    """Remove rolling checkpoints that are no longer kept, and segments that no checkpoint needs any more."""
    kept = rolling(folder)[:KEPT]
    for path in rolling(folder)[KEPT:]:
        shutil.rmtree(path)
    needed = {segment for path in kept for segment in segment_names(path)}
    for path in (folder / SEGMENTS).glob("*"):
        if path.name not in needed:
            path.unlink()


def newest_valid(folder: Path, problems: list[str], signed_for: str | None = None) -> Checkpoint | None:
    """Return the newest valid rolling checkpoint, and append the errors of newer invalid ones to `problems`.

    `signed_for`: see `lab.saving.checkpoint.load`.

    Returns None if the run ended before its first checkpoint. Raises CheckpointError if there are checkpoints but none
    is valid.
    """
    found = rolling(folder)
    for path in found:
        try:
            return load(path, signed_for=signed_for)
        except CheckpointError as error:
            problems.append(str(error))
    if found:
        raise CheckpointError(f"none of the {len(found)} checkpoints in {folder} is valid: {'; '.join(problems)}")
    if any((folder / name).exists() for name in RESULTS):
        raise CheckpointError(f"the checkpoints to resume training from are missing in {folder}")
    return None
