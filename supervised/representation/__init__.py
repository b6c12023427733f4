"""Features that are learned without labels, and what they are good for: few labels, clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from supervised.representation.clusters import Clusters
    from supervised.representation.fine_tuned import FineTuned
    from supervised.representation.simclr import SimCLR

__all__ = ["Clusters", "FineTuned", "SimCLR"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Clusters": "supervised.representation.clusters",
        "FineTuned": "supervised.representation.fine_tuned",
        "SimCLR": "supervised.representation.simclr",
    },
)
