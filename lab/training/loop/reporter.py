"""Tells the tracker and the progress bar how training goes."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl

from lab.console.progress import Progress
from lab.data.batch import Batch
from lab.errors import DivergedError
from lab.experiment import RunContext
from lab.training.loop.steps import stepped


class Reporter(pl.Callback):
    """Counts optimizer steps, logs metrics without Lightning's slow per-step logging, and ends training in time.

    Args:
        steps: optimizer steps of the whole training.
        log_every: optimizer steps between two rows of training metrics.
    """

    def __init__(self, context: RunContext, progress: Progress, *, steps: int, log_every: int) -> None:
        self.context, self.progress, self.steps, self.log_every = context, progress, steps, log_every
        self.step = self.examples = self.epoch = 0
        self.latest: dict[str, Any] = {}
        self.validated: dict[str, float] = {}

    @property
    def at_end(self) -> bool:
        """Whether all optimizer steps are made."""
        return self.step >= self.steps

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Batch, i: int
    ) -> None:
        if module.automatic_optimization and trainer.accumulate_grad_batches > 1:  # Lightning has divided the loss
            outputs = {**outputs, "loss": outputs["loss"] * trainer.accumulate_grad_batches}
        self.latest = outputs
        self.examples += len(batch)
        if not stepped(trainer, i):
            return
        self.step += 1
        if self.at_end and i + 1 < trainer.num_training_batches:
            trainer.should_stop = True  # inside an epoch; at its end Lightning stops by itself
        log = self.step % self.log_every == 0
        if log or self.progress.due:
            metrics = {f"train/{name}": value.item() for name, value in outputs.items()}
            self.progress.update(self.step, {"epoch": trainer.current_epoch + 1, **metrics, **self.validated})
            if log:
                self._require_finite(metrics)
                metrics["train/learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
                self.context.tracker.log(metrics, axis="global_step", at=self.step)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        metrics = {name: float(v) for name, v in trainer.callback_metrics.items() if name.startswith("val/")}
        self.validated = metrics
        self.context.tracker.log(metrics, axis="epoch", at=trainer.current_epoch + 1)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.epoch = trainer.current_epoch + 1
        self._require_finite({f"train/{name}": value.item() for name, value in self.latest.items()})

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "examples": self.examples, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.step, self.examples, self.epoch = (state_dict[name] for name in ("step", "examples", "epoch"))

    def _require_finite(self, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise DivergedError(f"{name} became {value} at step {self.step}")
