"""What a model shows while it trains: pictures, texts and sounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytorch_lightning as pl

from lab.data.batch import Batch
from lab.experiment import RunContext
from lab.training.loop.reporter import Reporter
from lab.training.loop.steps import stepped
from lab.training.model import Model
from lab.training.pictures import canvas, rendered
from lab.training.settings import TrainerSettings

LEAST, MOST_NAMES = 1e-20, 24  # gradient that is drawn, and names of layers below it


class Drawing(pl.Callback):
    """Saves what the model shows every so many epochs or optimizer steps. What it shows at the end is not drawn here.

    Args:
        settings: how often.
        reporter: counts the epochs and optimizer steps; it must come before this callback.
        shown: the batch that the pictures are drawn from.
        judged: inside its block the model has the weights that are judged, such as averaged ones.
    """

    def __init__(
        self,
        context: RunContext,
        settings: TrainerSettings,
        reporter: Reporter,
        shown: Batch,
        judged: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.context, self.reporter, self.shown, self.judged = context, reporter, shown, judged
        self.steps = settings.pictures_every_steps
        self.epochs = settings.pictures_every if self.steps is None else None

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Batch, i: int
    ) -> None:
        step = self.reporter.step
        if self.steps and stepped(trainer, i) and step % self.steps == 0:
            self._draw(module, axis="global_step", at=step)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        epoch = self.reporter.epoch
        if self.epochs and epoch % self.epochs == 0:
            self._draw(module, axis="epoch", at=epoch)

    def _draw(self, module: pl.LightningModule, *, axis: str, at: int) -> None:
        assert isinstance(module, Model)
        if not self.reporter.at_end:
            with self.judged():
                draw(module, self.shown, self.context, axis=axis, at=at)


def draw(model: Model, batch: Batch, context: RunContext, *, axis: str, at: int) -> None:
    """Save the model's pictures, texts and sounds. It uses random numbers of its own: training is not changed."""
    with model.to(context.device).at_rest(context.seed):
        for name, picture in model.pictures(batch).items():
            context.picture(f"pictures/{name}", picture, axis=axis, at=at)
        for name, text in model.texts(batch).items():
            context.text(f"texts/{name}", text, axis=axis, at=at)
        for name, sound in model.sounds(batch).items():
            context.sound(f"sounds/{name}", sound, axis=axis, at=at)


def draw_gradients(norms: Mapping[str, float], context: RunContext, at: int) -> None:
    """Save a picture of the norm of each layer's gradient, from the input to the output, at an optimizer step."""
    figure = canvas(max(5, 0.16 * len(norms)), 3.6)
    axes = figure.add_subplot()
    axes.semilogy(range(len(norms)), [max(value, LEAST) for value in norms.values()], marker="o", markersize=3)
    places = range(0, len(norms), -(-len(norms) // MOST_NAMES))
    axes.set_xticks(list(places), [list(norms)[i] for i in places], rotation=60, ha="right", fontsize=7)
    axes.set_ylabel("norm of the gradient")
    axes.grid(color="0.9")
    context.picture("pictures/layer_gradients", rendered(figure), axis="global_step", at=at)
