"""What hangs on Lightning's loop: tracker and progress bar, exact randomness, safe points, a watch on gradients."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO
from pytorch_lightning.callbacks import Checkpoint as LastCallback

from lab.console.progress import Progress
from lab.data.base import Batches
from lab.data.batch import Batch
from lab.errors import DivergedError
from lab.experiment import RunContext
from lab.system.devices import own_randomness
from lab.system.randomness import derived_seed, seed_everything
from lab.training.divergence import require_finite_gradients
from lab.training.model import Model

VALIDATION = 2**31  # stands where training has the number of a batch


class Reporter(pl.Callback):
    """Tells the tracker and the progress bar how training goes, without Lightning's slow per-step logging.

    Args:
        log_every: steps between two rows.
        pictures_every: epochs between two sets of pictures.
        shown: the batch they are drawn from.
    """

    def __init__(
        self, context: RunContext, progress: Progress, *, log_every: int, pictures_every: int, shown: Batch
    ) -> None:
        self.context, self.progress, self.shown = context, progress, shown
        self.log_every, self.pictures_every = log_every, pictures_every
        self.step = self.examples = self.epoch = 0
        self.latest: dict[str, Any] = {}

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, i: int
    ) -> None:
        self.step += 1
        self.latest = outputs
        self.examples += len(batch)
        log = self.step % self.log_every == 0
        if not (log or self.progress.due):
            return
        metrics = {f"train/{name}": value.item() for name, value in outputs.items()}
        self.progress.update(self.step, {"epoch": trainer.current_epoch + 1, **metrics})
        if log:
            self._require_finite(metrics)
            metrics["train/learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
            self.context.tracker.log(metrics, axis="global_step", at=self.step)

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        metrics = {name: float(v) for name, v in trainer.callback_metrics.items() if name.startswith("val/")}
        self.context.tracker.log(metrics, axis="epoch", at=trainer.current_epoch + 1)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.epoch = epoch = trainer.current_epoch + 1
        self._require_finite({f"train/{name}": value.item() for name, value in self.latest.items()})
        if epoch % self.pictures_every == 0 and epoch != trainer.max_epochs and isinstance(module, Model):
            draw(module, self.shown, self.context, axis="epoch", at=epoch)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "examples": self.examples, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.step, self.examples, self.epoch = (state_dict[name] for name in ("step", "examples", "epoch"))

    def _require_finite(self, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise DivergedError(f"{name} became {value} at step {self.step}")


class Seeding(pl.Callback):
    """Seeds each batch from (seed, epoch, batch): what a batch draws does not depend on what was drawn before it,
    so a resumed run needs no generator's state. An epoch's validation has a seed of its own."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, i: int) -> None:
        seed_everything(derived_seed(self.seed, trainer.current_epoch, i))

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        seed_everything(derived_seed(self.seed, trainer.current_epoch, VALIDATION))


class GradientWatch(pl.Callback):
    """Stops before a NaN reaches the weights. On the CPU alone: elsewhere each look is a wait."""

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if module.device.type == "cpu":
            require_finite_gradients(optimizer, f"epoch {trainer.current_epoch + 1}")


class Saving(LastCallback):
    """Tells the saver of every safe point. Of Lightning's kind of callback that comes after all others.

    An epoch's last batch is no safe point: a run resumed there would lose the epoch's validation. The epoch's end is.
    """

    def __init__(self, context: RunContext, memory: Memory, batches: Batches, reporter: Reporter) -> None:
        assert context.saver is not None
        self.saver, self.restored = context.saver, context.restored
        self.memory, self.batches, self.reporter = memory, batches, reporter

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.restored:
            trainer.should_stop = self.restored.state["should_stop"]  # early stopping's decision; Lightning forgets it

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, i: int
    ) -> None:
        if i + 1 < trainer.num_training_batches:
            self.saver.safe_point(self.reporter.step, lambda: self.state(trainer))

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        epoch, last = trainer.current_epoch + 1, trainer.max_epochs
        (self.saver.save if epoch == last or trainer.should_stop else self.saver.safe_point)(
            self.reporter.step, lambda: self.state(trainer)
        )

    def state(self, trainer: pl.Trainer) -> dict[str, Any]:
        """Return all that training needs to go on from here."""
        trainer.save_checkpoint("in memory")
        return {
            "lightning": self.memory.checkpoint,
            "batches": self.batches.state_dict(),
            "should_stop": trainer.should_stop,
            "step": self.reporter.step,
        }


class Memory(CheckpointIO):
    """Where Lightning saves to and loads from: `lab.resume.checkpoint` does the rest, atomically and without pickle."""

    def __init__(self, checkpoint: dict[str, Any] | None = None) -> None:
        self.checkpoint = checkpoint

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        self.checkpoint = checkpoint

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        assert self.checkpoint is not None
        return self.checkpoint

    def remove_checkpoint(self, path: Any) -> None:
        """Nothing to do."""


class TestProgress(pl.Callback):
    """Moves the progress bar during evaluation."""

    __test__ = False  # its name makes pytest look twice

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_test_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, i: int, loader: int = 0
    ) -> None:
        self.progress.update(i + 1)


def draw(model: Model, batch: Any, context: RunContext, *, axis: str, at: int) -> None:
    """Draw the model's pictures, on random numbers of their own: drawing or not leaves the training the same."""
    training = model.training
    with own_randomness(context.device, context.seed), torch.no_grad():
        model.eval().to(context.device)
        for name, picture in model.pictures(batch).items():
            context.picture(f"pictures/{name}", picture, axis=axis, at=at)
    model.train(training)
