"""Random numbers that depend on the seed, the epoch and the batch alone."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from lab.system.randomness import derived_seed, seed_everything

VALIDATION = 2**31  # takes the place of the batch number in the seed of a validation


class Seeding(pl.Callback):
    """Seeds each batch from (seed, epoch, batch).

    What a batch draws does not depend on what was drawn before it, so a resumed run needs no generator's state. Each
    epoch's validation has its own seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, i: int) -> None:
        seed_everything(derived_seed(self.seed, trainer.current_epoch, i))

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        seed_everything(derived_seed(self.seed, trainer.current_epoch, VALIDATION))
