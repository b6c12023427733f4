"""The Lightning kind of experiment: models, optimization and the loop around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from lab.training.model import Model
    from lab.training.muon import MuonAdam
    from lab.training.settings import TrainerSettings
    from lab.training.training import Training

__all__ = [
    "Model",
    "MuonAdam",
    "TrainerSettings",
    "Training",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Model": "lab.training.model",
        "MuonAdam": "lab.training.muon",
        "TrainerSettings": "lab.training.settings",
        "Training": "lab.training.training",
    },
)
