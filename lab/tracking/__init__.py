"""Where metrics and media go: the journal in the run folder, and Weights & Biases. Also the git commit of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from lab.tracking.base import Tracker
    from lab.tracking.journal import MEDIA, METRICS, Journal, cut_journal, read_journal
    from lab.tracking.trackers import Trackers
    from lab.tracking.wandb import WandbFollower

__all__ = [
    "MEDIA",
    "METRICS",
    "Journal",
    "Tracker",
    "Trackers",
    "WandbFollower",
    "cut_journal",
    "read_journal",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Journal": "lab.tracking.journal",
        "MEDIA": "lab.tracking.journal",
        "METRICS": "lab.tracking.journal",
        "Tracker": "lab.tracking.base",
        "Trackers": "lab.tracking.trackers",
        "WandbFollower": "lab.tracking.wandb",
        "cut_journal": "lab.tracking.journal",
        "read_journal": "lab.tracking.journal",
    },
)
