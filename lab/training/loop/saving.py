"""Safe points of a Lightning training: where they are, and the state that is saved there."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint as LastCallback

from lab.data.base import Batches
from lab.experiment import RunContext
from lab.training.loop.checkpoint_io import InMemory
from lab.training.loop.reporter import Reporter
from lab.training.loop.steps import stepped


class Saving(LastCallback):
    """Tells the saver of every safe point. Lightning calls callbacks of this base class after all others.

    A safe point comes after an optimizer step, never inside an accumulation. The last batch of an epoch is no safe
    point, since a run resumed there would skip the epoch's validation; the end of the epoch is one.

    Args:
        epoch: optimizer steps and batches of a whole epoch.
        stopped: whether early stopping had decided before the checkpoint that is resumed from; None for a new run.
    """

    def __init__(
        self,
        context: RunContext,
        memory: InMemory,
        batches: Batches,
        reporter: Reporter,
        *,
        epoch: tuple[int, int],
        stopped: bool | None,
    ) -> None:
        assert context.saver is not None
        self.saver, self.stopped = context.saver, stopped
        self.memory, self.batches, self.reporter, self.epoch = memory, batches, reporter, epoch
        self.cut_short: Any = None
        """Lightning's loop state where the training ended inside an epoch."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.stopped is not None:  # Lightning does not save that early stopping has decided
            trainer.should_stop = self.stopped or self.reporter.at_end

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, i: int
    ) -> None:
        if not stepped(trainer, i) or i + 1 == trainer.num_training_batches:
            return
        if self.reporter.at_end:
            self.cut_short = self._checkpoint(trainer)["loops"]
        else:
            self.saver.safe_point(self.reporter.step, lambda: self.state(trainer))

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        last = self.reporter.at_end or trainer.should_stop
        (self.saver.save if last else self.saver.safe_point)(self.reporter.step, lambda: self.state(trainer))

    def state(self, trainer: pl.Trainer) -> dict[str, Any]:
        """Return all that training needs to go on from here."""
        checkpoint = self._checkpoint(trainer)
        if self.cut_short:  # a run that is resumed with more steps goes on inside this epoch
            checkpoint = {**checkpoint, "loops": self.cut_short}
        return {
            "lightning": checkpoint,
            "batches": self.batches.state_dict(),
            "should_stop": trainer.should_stop and not self.cut_short,
            "step": self.reporter.step,
            "epoch": list(self.epoch),
        }

    def _checkpoint(self, trainer: pl.Trainer) -> dict[str, Any]:
        trainer.save_checkpoint("in memory")
        assert self.memory.checkpoint is not None
        return self.memory.checkpoint
