"""What the runner asks of an experiment, and what it gives to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from lab.experiment.base import Experiment, State
    from lab.experiment.context import RunContext
    from lab.experiment.timing import Alternative, Throughput, Timing, Turn

__all__ = [
    "Alternative",
    "Experiment",
    "RunContext",
    "State",
    "Throughput",
    "Timing",
    "Turn",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Alternative": "lab.experiment.timing",
        "Experiment": "lab.experiment.base",
        "RunContext": "lab.experiment.context",
        "State": "lab.experiment.base",
        "Throughput": "lab.experiment.timing",
        "Timing": "lab.experiment.timing",
        "Turn": "lab.experiment.timing",
    },
)
