"""The weights of the best epoch, kept while a model trains."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from lab.training.loop.weights import copied


class Best(pl.Callback):
    """Keeps the weights that were validated best; the first of equals stays.

    Args:
        metric: any figure under `val/`.
        mode: whether less (`min`) or more (`max`) is better.
    """

    def __init__(self, metric: str, mode: str) -> None:
        self.metric, self.mode = metric, mode
        self.value, self.epoch = math.nan, 0
        self.weights: dict[str, Tensor] | None = None

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        value = float(trainer.callback_metrics[self.metric])
        better = value < self.value if self.mode == "min" else value > self.value
        if better or (self.weights is None and math.isfinite(value)):
            self.value, self.epoch = value, trainer.current_epoch + 1
            self.weights = copied(module.state_dict())

    def state_dict(self) -> dict[str, Any]:
        chosen_by = {"metric": self.metric, "mode": self.mode}
        return {"value": self.value, "epoch": self.epoch, "weights": self.weights, **chosen_by}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.value, self.epoch, self.weights = (state_dict[name] for name in ("value", "epoch", "weights"))
