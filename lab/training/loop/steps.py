"""Which batches complete an optimizer step."""

from __future__ import annotations

import pytorch_lightning as pl


def stepped(trainer: pl.Trainer, batch: int) -> bool:
    """Whether the optimizer made a step with this batch, counted from 0 in its epoch: an accumulation is complete."""
    return (batch + 1) % trainer.accumulate_grad_batches == 0 or batch + 1 == trainer.num_training_batches
