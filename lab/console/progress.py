"""Progress of a run: a live bar at a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from lab.console.notices import console
from lab.console.wording import rate as per_second
from lab.console.wording import time_left

FILE = "progress.json"
"""In the folder of a run at work: its latest `Update` and the time of it. Nothing depends on it."""

PLAIN_LINE_EVERY = 5.0  # seconds
BAR_REFRESH_EVERY = 0.25  # seconds
FILE_EVERY = 2.0  # seconds

BAR_COLUMNS = 58  # columns of the terminal for everything but the metrics

listener: Callable[[dict[str, Any]], None] | None = None
"""Called with the run's `folder` and with each `Update`, where another process shows them instead of this one."""


@dataclass(frozen=True)
class Update:
    """How far a stage is.

    Args:
        stage: its name.
        done: units that are finished.
        total: units in all; 0 where the stage has ended.
        unit: what is counted, such as `steps`.
        rate: units per second.
        metrics: to show beside it.
    """

    stage: str
    done: int
    total: int
    unit: str
    rate: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def left(self) -> str:
        """The remaining time at the present rate, as `minutes:seconds`; `?` where there is none."""
        return time_left((self.total - self.done) / self.rate) if self.rate else "?"

    def __str__(self) -> str:
        if not self.total:
            return self.stage
        shown = "  ".join(f"{name} {value:.4g}" for name, value in self.metrics.items())
        share = f"{self.stage}: {self.done:,}/{self.total:,} {self.unit} ({self.done / self.total:.0%})"
        return f"{share}  {per_second(self.rate)}  {self.left} left  {shown}".rstrip()


class Progress:
    """Progress of one stage: `with Progress("training", total, "steps") as progress: progress.update(done, metrics)`.

    `update` may be called at any rate: it draws at most every quarter of a second.

    Args:
        start: units that were done before.
        folder: of the run, where the progress is left for other processes; None for none.
    """

    def __init__(self, stage: str, total: int, unit: str, *, start: int = 0, folder: Path | None = None) -> None:
        self.stage, self.total, self.unit, self.start = stage, total, unit, start
        self.file = folder / FILE if folder else None
        self.started = self.drawn = self.written = time.monotonic()
        self.bar: RichProgress | None = None

    def __enter__(self) -> Progress:
        if console.is_terminal:
            self.bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=12),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[metrics]}", style="cyan", markup=False),
                console=console,
                transient=True,
                auto_refresh=False,  # else a second thread would draw beside the training
            )
            self.task = self.bar.add_task(self.stage, total=self.total, rate="", metrics="")
            self.bar.start()
        elif listener:
            listener(asdict(Update(self.stage, self.start, self.total, self.unit)))
        else:
            done = f", {self.start:,} done" if self.start else ""
            console.print(f"{self.stage}: {self.total:,} {self.unit}{done}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            with suppress(OSError):
                self.bar.stop()
        if self.file:
            with suppress(OSError):
                self._part.unlink(missing_ok=True)
                self.file.unlink(missing_ok=True)
        if listener and not self.bar and kind is None:
            listener(asdict(Update(f"{self.stage} done", 0, 0, self.unit)))  # it may have ended before its total

    @property
    def due(self) -> bool:
        """Whether an update would be drawn now: ask before computing metrics that only the bar needs."""
        return time.monotonic() - self.drawn >= (BAR_REFRESH_EVERY if self.bar or listener else PLAIN_LINE_EVERY)

    def update(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        """Show that `done` of `total` units are finished, and the metrics beside it."""
        if not self.due:
            return
        self.drawn = time.monotonic()
        rate = (done - self.start) / (self.drawn - self.started)
        update = Update(self.stage, done, self.total, self.unit, rate, dict(metrics or {}))
        self._leave(update)
        if self.bar:
            shown = fitting(metrics or {}, console.width - BAR_COLUMNS)
            with suppress(OSError):
                self.bar.update(self.task, completed=done, rate=per_second(rate), metrics=shown, refresh=True)
        elif listener:
            listener(asdict(update))
        else:
            console.print(str(update), soft_wrap=True)

    @property
    def _part(self) -> Path:
        assert self.file is not None
        return self.file.with_name(f".{FILE}.part")

    def _leave(self, update: Update) -> None:
        """Leave the progress in the run's folder. It is not forced to the disk, and a full disk ends no run."""
        if self.file and self.drawn - self.written >= FILE_EVERY:
            self.written = self.drawn
            with suppress(OSError, TypeError, ValueError):
                figures = {name: float(value) for name, value in update.metrics.items()}
                left = json.dumps({**asdict(update), "metrics": figures, "time": round(time.time(), 1)})
                self._part.unlink(missing_ok=True)
                with self._part.open("x") as part:  # through no link: the run may be somebody else's
                    part.write(left)
                self._part.replace(self.file)


class Unseen(Progress):
    """Progress that is not shown."""

    @property
    def due(self) -> bool:
        return False


def fitting(metrics: Mapping[str, float], width: int) -> str:
    """Return as many of the first metrics as fit into `width` columns without cutting a number."""
    shown = ""
    for name, value in metrics.items():
        longer = f"{shown}  {name.rpartition('/')[2]} {value:.4g}".strip()
        if len(longer) > width:
            break
        shown = longer
    return shown
