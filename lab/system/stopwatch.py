"""Measures how the time of training is divided among its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter


class Stopwatch:
    """Adds up the time of laps for each part of a loop.

    CUDA and MPS work asynchronously: the time of an operation counts for the part that waits for its result.

    Args:
        parts: of the loop, by name.
    """

    def __init__(self, parts: Iterable[str]) -> None:
        self.seconds = dict.fromkeys(parts, 0.0)
        self.last = perf_counter()

    def start(self) -> None:
        """Begin a lap now. The time before it is not counted."""
        self.last = perf_counter()

    def lap(self, part: str) -> None:
        """End the current lap, count it for `part`, and begin the next one."""
        now = perf_counter()
        self.seconds[part] += now - self.last
        self.last = now

    def since(self, before: Mapping[str, float]) -> dict[str, float]:
        """Return the seconds of each part since `before`, an earlier copy of `seconds`."""
        return {part: spent - before[part] for part, spent in self.seconds.items()}
