"""How much was trained in which time, and which settings may make it faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Throughput:
    """How much was trained in this run. The runner divides it by the training time.

    Args:
        unit: of the amount.
        by: what made it faster than the code alone, such as compiled programs; empty for nothing.
    """

    amount: float
    unit: str
    by: str = ""


@dataclass(frozen=True)
class Timing:
    """How the time of training was divided.

    Args:
        steps: number of steps, as the experiment counts them.
        seconds: time of each part of the training loop, by name. Their sum is the whole time.
    """

    steps: int
    seconds: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Steps per second."""
        return self.steps / sum(self.seconds.values())


class Alternative(NamedTuple):
    """A setting, `key=value`, that may make training faster, and a sentence on what else it changes."""

    setting: str
    remark: str = ""


Turn = Callable[[float], Timing]
"""Trains for about the given number of seconds, and returns how the time was divided."""
