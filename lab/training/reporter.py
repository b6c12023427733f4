"""Tells the tracker and the progress bar how training goes, and draws what the model shows."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytorch_lightning as pl

from lab.console.progress import Progress
from lab.data.batch import Batch
from lab.errors import DivergedError
from lab.experiment import RunContext
from lab.training.callbacks import stepped
from lab.training.model import Model
from lab.training.settings import Length, TrainerSettings


class Reporter(pl.Callback):
    """Counts optimizer steps, logs metrics without Lightning's slow per-step logging, and ends training in time.

    Args:
        settings: what is logged and drawn, and how often.
        length: of the training.
        shown: the batch that the pictures are drawn from.
        judged: inside its block the model has the weights that are judged, such as averaged ones.
    """

    def __init__(
        self,
        context: RunContext,
        progress: Progress,
        settings: TrainerSettings,
        length: Length,
        shown: Batch,
        judged: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.context, self.progress, self.settings = context, progress, settings
        self.length, self.shown, self.judged = length, shown, judged
        self.step = self.examples = self.epoch = 0
        self.latest: dict[str, Any] = {}

    @property
    def at_end(self) -> bool:
        """Whether all optimizer steps are made."""
        return self.step >= self.length.steps

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Batch, i: int
    ) -> None:
        self.latest = outputs
        self.examples += len(batch)
        if not stepped(trainer, i):
            return
        self.step += 1
        if self.at_end and i + 1 < trainer.num_training_batches:
            trainer.should_stop = True  # inside an epoch; at its end Lightning stops by itself
        log = self.step % self.settings.log_every == 0
        if log or self.progress.due:
            metrics = {f"train/{name}": value.item() for name, value in outputs.items()}
            self.progress.update(self.step, {"epoch": trainer.current_epoch + 1, **metrics})
            if log:
                self._require_finite(metrics)
                metrics["train/learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
                self.context.tracker.log(metrics, axis="global_step", at=self.step)
        every = self.settings.pictures_every_steps
        if every and self.step % every == 0 and not self.at_end:
            self._draw(module, axis="global_step", at=self.step)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        metrics = {name: float(v) for name, v in trainer.callback_metrics.items() if name.startswith("val/")}
        self.context.tracker.log(metrics, axis="epoch", at=trainer.current_epoch + 1)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.epoch = trainer.current_epoch + 1
        self._require_finite({f"train/{name}": value.item() for name, value in self.latest.items()})
        by_epoch = self.settings.pictures_every_steps is None and self.epoch % self.settings.pictures_every == 0
        if by_epoch and not self.at_end:
            self._draw(module, axis="epoch", at=self.epoch)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "examples": self.examples, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.step, self.examples, self.epoch = (state_dict[name] for name in ("step", "examples", "epoch"))

    def _draw(self, module: pl.LightningModule, *, axis: str, at: int) -> None:
        assert isinstance(module, Model)
        with self.judged():
            draw(module, self.shown, self.context, axis=axis, at=at)

    def _require_finite(self, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise DivergedError(f"{name} became {value} at step {self.step}")


def draw(model: Model, batch: Batch, context: RunContext, *, axis: str, at: int) -> None:
    """Save the model's pictures, texts and sounds. It uses random numbers of its own: training is not changed."""
    with model.to(context.device).at_rest(context.seed):
        for name, picture in model.pictures(batch).items():
            context.picture(f"pictures/{name}", picture, axis=axis, at=at)
        for name, text in model.texts(batch).items():
            context.text(f"texts/{name}", text, axis=axis, at=at)
        for name, sound in model.sounds(batch).items():
            context.sound(f"sounds/{name}", sound, axis=axis, at=at)
