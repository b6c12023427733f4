"""Where the seconds of training go."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Literal

Part = Literal["environment", "inference", "learning", "logging"]
PARTS: tuple[Part, ...] = ("environment", "inference", "learning", "logging")


class Stopwatch:
    """Adds up the time between laps, each under the part of the loop that has just ended.

    On a CUDA or MPS device work is only begun in the part that asks for it, and waited for in the next that needs it.
    """

    def __init__(self) -> None:
        self.seconds: dict[Part, float] = dict.fromkeys(PARTS, 0.0)
        self.last = perf_counter()

    def start(self) -> None:
        """Begin a lap here, leaving out what came before."""
        self.last = perf_counter()

    def lap(self, part: Part) -> None:
        """End a lap that belongs to `part`, and begin the next."""
        now = perf_counter()
        self.seconds[part] += now - self.last
        self.last = now

    def since(self, before: Mapping[Part, float]) -> dict[Part, float]:
        """Seconds of each part since a copy of `seconds` was taken."""
        return {part: self.seconds[part] - before[part] for part in PARTS}
