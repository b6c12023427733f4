"""Screening: a classifier that raises an alarm for one class, and what it is measured and compared by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from supervised.screening.screening import Screening
    from supervised.screening.spotting import Spotting

__all__ = ["Screening", "Spotting"]

__getattr__, __dir__ = lazily(
    __name__, {"Screening": "supervised.screening.screening", "Spotting": "supervised.screening.spotting"}
)
