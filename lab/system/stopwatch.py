"""Where the seconds of training go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter


class Stopwatch:
    """Adds up the time between laps, each under the part of the loop that has just ended.

    On a CUDA or MPS device work is only begun in the part that asks for it, and waited for in the next that needs it.

    Args:
        parts: of the loop, by name.
    """

    def __init__(self, parts: Iterable[str]) -> None:
        self.seconds = dict.fromkeys(parts, 0.0)
        self.last = perf_counter()

    def start(self) -> None:
        """Begin a lap here, leaving out what came before."""
        self.last = perf_counter()

    def lap(self, part: str) -> None:
        """End a lap that belongs to `part`, and begin the next."""
        now = perf_counter()
        self.seconds[part] += now - self.last
        self.last = now

    def since(self, before: Mapping[str, float]) -> dict[str, float]:
        """Seconds of each part since a copy of `seconds` was taken."""
        return {part: spent - before[part] for part, spent in self.seconds.items()}
