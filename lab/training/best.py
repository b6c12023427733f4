"""The weights of the best epoch, kept while a model trains."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from lab.training.settings import KeepBest


class Best(pl.Callback):
    """Keeps the weights that were validated best; the first of equals stays.

    Args:
        settings: the metric, and whether less or more of it is better.
    """

    def __init__(self, settings: KeepBest) -> None:
        self.settings = settings
        self.value, self.epoch = math.nan, 0
        self.weights: dict[str, Tensor] | None = None

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        value = float(trainer.callback_metrics[self.settings.metric])
        better = value < self.value if self.settings.mode == "min" else value > self.value
        if better or (self.weights is None and math.isfinite(value)):
            self.value, self.epoch = value, trainer.current_epoch + 1
            self.weights = {name: weight.clone() for name, weight in module.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.value, self.epoch, self.weights = (state_dict[name] for name in ("value", "epoch", "weights"))
