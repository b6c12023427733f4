"""Several trackers as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.tracking.base import Tracker


class Trackers:
    """Passes everything to several trackers in order, so that the first has a row even if a later one fails."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers = trackers

    def log(self, metrics: Mapping[str, float], *, axis: str, at: int) -> None:
        for tracker in self.trackers:
            tracker.log(metrics, axis=axis, at=at)

    def media(self, name: str, path: Path, *, axis: str, at: int) -> None:
        for tracker in self.trackers:
            tracker.media(name, path, axis=axis, at=at)

    def finish(self, summary: Mapping[str, Any]) -> None:
        for tracker in self.trackers:
            tracker.finish(summary)
