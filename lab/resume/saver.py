"""A run's rolling checkpoints: when they are due, what they name, how many are kept, and which one is believed."""

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
from lab.resume.checkpoint import SEGMENTS, Checkpoint, Segment, load, publish, segment_names, write_segment
from lab.system.signals import Stop

KEPT = 2  # the last and the one before it


@dataclass(frozen=True)
class CheckpointSettings:
    """How often a run saves itself. Never by the clock: the same run saves at the same places.

    Args:
        steps: of the environment, or batches; null for the usual number of this kind of experiment.
        epochs: for experiments that have them, in place of `steps`.
    """

    steps: PositiveInt | None = None
    epochs: PositiveInt | None = None


class Cadence(NamedTuple):
    """Steps between two checkpoints, and whether saving leaves what follows unchanged."""

    every: int
    neutral: bool = True


@dataclass(frozen=True)
class Rows:
    """What an append-only log, such as a replay buffer, has gained since its last checkpoint.

    Args:
        start: index of the first new row, counted from the beginning of the run.
        new: the new rows by name, `(rows, ...)` each.
        oldest: index of the first row that is still needed.
    """

    start: int
    new: Mapping[str, Tensor]
    oldest: int


class Saver:
    """Saves a run at its safe points: the places where all of its state can be named.

    Args:
        folder: of the checkpoints.
        meta: returns what each checkpoint has to know beside the state: config, versions, offset of the journal.
        stop: whether the run has been asked to end.
        cadence: when to save. Where that is not neutral it happens at the appointed places alone.
        resumed: the checkpoint the run went on from.
    """

    def __init__(
        self,
        folder: Path,
        meta: Callable[[], dict[str, Any]],
        stop: Stop,
        cadence: Cadence,
        resumed: Checkpoint | None = None,
    ) -> None:
        self.folder, self.meta, self.stop = folder, meta, stop
        self.every, self.neutral = cadence
        self.seconds = 0.0
        """Spent saving, in this session."""
        self.previous = self.saved = position(resumed.folder) if resumed else -1
        self.segments: list[Segment] = list(resumed.segments) if resumed else []

    def due(self, at: int) -> bool:
        """Whether the cadence asks for a checkpoint at the safe point `at`, the next after the previous one."""
        return at // self.every > max(self.previous, 0) // self.every

    def safe_point(self, at: int, state: Callable[[], Any], rows: Callable[[], Rows] | None = None) -> None:
        """Save if the cadence says so; save and end the run if that has been asked for, raising Interrupted.

        Args:
            at: steps done, never fewer than before.
            state: gives all that the run needs to go on from here.
            rows: gives what the run's append-only log has gained.
        """
        if self.due(at) or (self.neutral and self.stop.requested is not None):
            self.save(at, state, rows)
        self.previous = at
        self.stop.raise_if_requested()

    def save(self, at: int, state: Callable[[], Any], rows: Callable[[], Rows] | None = None) -> None:
        """Save at once, unless this very place has been saved. Raises SavingError when the disk does not take it."""
        if at == self.saved:
            return
        folder = self.folder / f"step-{at:010d}"
        began = time.perf_counter()
        try:
            if rows is not None:
                self._append(rows())
            publish(folder, state(), self.meta(), self.segments)
            self.previous = self.saved = at
            prune(self.folder)
            self.seconds += time.perf_counter() - began
        except OSError as error:
            kept = f"the last checkpoint, at step {self.saved:,}, is intact" if self.saved >= 0 else "there is none yet"
            raise SavingError(f"cannot write the checkpoint {folder}: {error.strerror}; {kept}") from error

    def position(self) -> dict[str, int | None]:
        """The step of the newest checkpoint, and how many safe steps came after it."""
        if self.saved < 0:
            return {"checkpoint": None, "steps_after_it": max(self.previous, 0)}
        return {"checkpoint": self.saved, "steps_after_it": self.previous - self.saved}

    def _append(self, rows: Rows) -> None:
        if len(next(iter(rows.new.values()))):
            self.segments.append(write_segment(self.folder / SEGMENTS, rows.start, rows.new))
        self.segments = [segment for segment in self.segments if segment.stop > rows.oldest]


def position(folder: Path) -> int:
    """Steps done at the checkpoint in `folder`."""
    return int(folder.name.rpartition("-")[2])


def rolling(folder: Path) -> list[Path]:
    """Return the rolling checkpoints in a folder of checkpoints, the newest first."""
    return sorted(
        (p for p in folder.glob("step-*") if re.fullmatch(r"step-\d{10}", p.name) and p.is_dir()), reverse=True
    )


def prune(folder: Path) -> None:
    """Remove the rolling checkpoints that are no longer kept, and the segments that none of the others names."""
    kept = rolling(folder)[:KEPT]
    for path in rolling(folder)[KEPT:]:
        shutil.rmtree(path)
    needed = {segment for path in kept for segment in segment_names(path)}
    for path in (folder / SEGMENTS).glob("*"):
        if path.name not in needed:
            path.unlink()


def newest_valid(folder: Path, problems: list[str]) -> Checkpoint | None:
    """Return the newest valid one of the rolling checkpoints; what is wrong with newer ones is added to `problems`.

    None where the run never came to its first one. Raises CheckpointError when there are some and none is valid.
    """
    found = rolling(folder)
    for path in found:
        try:
            return load(path)
        except CheckpointError as error:
            problems.append(str(error))
    if found:
        raise CheckpointError(f"none of the {len(found)} checkpoints in {folder} is valid: {'; '.join(problems)}")
    if any((folder / title).exists() for title in ("final", "best")):
        raise CheckpointError(f"the checkpoints that training could go on from are gone from {folder}")
    return None
