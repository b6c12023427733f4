"""The interface of trackers, which receive metrics and media during a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class Tracker(Protocol):
    """Receives a run's metrics and media. Every row has its own axis; there is no global step."""

    def log(self, metrics: Mapping[str, float], *, axis: str, at: int) -> None:
        """Record `metrics`, named `group/name`, at position `at` of `axis` (env_steps, epoch or global_step)."""

    def media(self, name: str, path: Path, *, axis: str, at: int) -> None:
        """Record the picture, film, text or sound in `path`. The file is complete and stays as it is."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Record the final summary and close all files and connections."""
