"""Gradual unfreezing: the layers of an encoder begin to learn one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import pytorch_lightning as pl
from torch import nn


class Unfreezing(pl.Callback):
    """Lets the last layer learn after so many epochs, the one before it after twice as many, and so on (Howard & Ruder
    2018, section 3.3). What was frozen before stays so.

    Args:
        every: so many epochs.
        layers: the weights of each, in the order from input to output.
    """

    def __init__(self, every: int, layers: Sequence[Sequence[nn.Parameter]]) -> None:
        self.every = every
        self.layers = [[one for one in layer if one.requires_grad] for layer in reversed(layers)]

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._let_learn(trainer.current_epoch)  # a run that is resumed inside an epoch does not start it

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._let_learn(trainer.current_epoch)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        for parameters in self.layers:
            for one in parameters:
                one.requires_grad_()

    def _let_learn(self, epoch: int) -> None:
        for number, parameters in enumerate(self.layers, 1):
            for one in parameters:
                one.requires_grad_(epoch >= number * self.every)
