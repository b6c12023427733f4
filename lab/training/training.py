"""The Lightning kind of experiment: a model, its data, and how to train it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping as Stopping

from lab.console.notices import notice
from lab.console.progress import Unseen
from lab.data.base import DataModule, DatasetInfo
from lab.data.loader import testing_batches, training_batches, validation_batches
from lab.errors import ConfigError
from lab.experiment import Experiment, RunContext, State, Throughput, Timing, Turn
from lab.nn.layers import initialise
from lab.saving.checkpoint import Checkpoint
from lab.saving.saver import Cadence, CheckpointSettings, misplaced
from lab.saving.specs import spec_as_json, spec_from_json
from lab.training.averaging import Averaging
from lab.training.checks import batch_norm_errors, carried_notes, require_fitting, require_optimization
from lab.training.drawing import Drawing, draw, draw_gradients
from lab.training.films import film
from lab.training.loop.best import Best
from lab.training.loop.checkpoint_io import InMemory
from lab.training.loop.evaluating import EvaluationProgress
from lab.training.loop.gradients import GradientWatch
from lab.training.loop.layer_statistics import LayerStatistics
from lab.training.loop.reporter import Reporter
from lab.training.loop.saving import Saving
from lab.training.loop.seeding import Seeding
from lab.training.loop.timing import PARTS, Laps, TimedBatches, TurnOver
from lab.training.loop.trainer import lightning_trainer, quiet_lightning
from lab.training.loop.unfreezing import Unfreezing
from lab.training.loop.weights import copied
from lab.training.loop.workers import data_workers
from lab.training.model import ModelFactory
from lab.training.rehearsal import rehearsed
from lab.training.restoring import STOPPED, misfit, restore, with_settings
from lab.training.settings import TrainerSettings

SAVE_EVERY = 1_000  # optimizer steps, where the config does not say
DEFAULTS = TrainerSettings()


class Training(Experiment):
    """Trains a Lightning model on a data module.

    Args:
        model: the model's class and settings; its spec comes from the data.
        data: the data set.
        trainer: optimizer, schedule, length and the like.
    """

    lengths = ("trainer.max_epochs", "trainer.max_steps")
    step = "batch"
    parts = PARTS

    def __init__(self, *, model: ModelFactory, data: DataModule, trainer: TrainerSettings = DEFAULTS) -> None:
        self.model_factory, self.data, self.settings = model, data, trainer
        self.others: dict[str, State] = {}
        """Further weights to save, by the name of their checkpoint."""

    def prepare(self, seed: int, device: torch.device, *, fast_dev_run: bool = False) -> None:
        self.fast_dev_run = fast_dev_run
        self.data.prepare()
        self.model = self.model_factory(self.data.spec)
        self.notes = [*self.data.notes, *carried_notes(self.model)]
        initialise(self.model, self.settings.initialisation)
        self.model.adapt(self.data)
        self.family = self.model.family  # type: ignore[misc]
        self.batches = training_batches(self.data, device, seed)
        self.validation = validation_batches(self.data, device)
        self.test = testing_batches(self.data, device)
        self.first_batch = next(iter(self.validation or training_batches(self.data, device, seed)))
        self.steps = self.settings.length(len(self.batches), fast_dev_run=fast_dev_run)
        self.total_steps = self.model.total_steps = self.steps.steps
        self.model.optimization, self.model.fast_dev_run = self.settings, fast_dev_run
        require_optimization(self.settings, self.model)
        self.model.to(device)
        require_fitting(self.settings, self.model, self.batches, self.validation, self.first_batch)

    def steps_of(self, lengths: Mapping[str, Any]) -> int | None:
        epochs, steps = (lengths.get(name) for name in self.lengths)
        return replace(self.settings, max_epochs=epochs, max_steps=steps).length(len(self.batches)).steps

    def cadence(self, wish: CheckpointSettings) -> Cadence:
        if wish.steps and wish.epochs:
            raise ConfigError("checkpoint takes steps or epochs, not both")
        if self.fast_dev_run:
            return Cadence(1)
        return Cadence(wish.epochs * self.steps.per_epoch if wish.epochs else wish.steps or SAVE_EVERY)

    @classmethod
    def ended(cls, restored: Checkpoint) -> str | None:
        return STOPPED if restored.state.get("should_stop") else None

    def misfit(self, restored: Checkpoint, changed: Collection[str]) -> str | None:
        return misplaced(restored, restored.state["step"]) or misfit(
            restored.state, self.model, self.steps, len(self.batches), changed
        )

    def train(self, context: RunContext) -> Throughput:
        settings, length = self.settings, self.steps
        state = context.restored.state if context.restored else None
        if state:
            if context.changed:
                state = with_settings(state, self.model, settings, context.changed)
            restore(self.model, state, settings)
            self.batches.load_state_dict(state["batches"])  # Lightning does not save it at an epoch's end
        unit = "steps" if settings.accumulate > 1 else "batches"
        with context.progress("training", length.steps, unit, start=state["step"] if state else 0) as progress:
            best = Best(by.metric, by.mode) if (by := settings.best_by) else None
            averaging = Averaging(settings.ema, self.model) if settings.ema else None
            reporter = Reporter(context, progress, steps=length.steps, log_every=settings.log_every)
            judged = averaging.in_place if averaging else nullcontext
            drawing = Drawing(context, settings, reporter, self.first_batch, judged)
            memory = InMemory(state["lightning"] if state else None)
            # The best weights are copied before the averaged ones are taken out, and averaged before they are drawn.
            callbacks: list[pl.Callback] = [Seeding(context.seed), GradientWatch(), *filter(None, (best, averaging))]
            epoch, stopped = (length.per_epoch, len(self.batches)), state["should_stop"] if state else None
            saving = Saving(context, memory, self.batches, reporter, epoch=epoch, stopped=stopped)
            callbacks += [reporter, drawing, saving]
            if settings.statistics_every:
                callbacks.append(LayerStatistics(settings.statistics_every, context, reporter, draw_gradients))
            if settings.unfreeze_every:
                callbacks.append(Unfreezing(settings.unfreeze_every, self.model.encoder.layers_in_order()))
            if stop := settings.early_stopping:  # with a NaN an epoch is no better, as for `Best`
                callbacks.append(Stopping(stop.metric, patience=stop.patience, mode=stop.mode, check_finite=False))
            trainer = lightning_trainer(
                context,
                callbacks,
                epochs=length.epochs,
                accumulate=settings.accumulate,
                precision=settings.precision,
                memory=memory,
            )
            with quiet_lightning(), data_workers(), batch_norm_errors():
                trainer.fit(self.model, self.batches, self.validation, ckpt_path="in memory" if state else None)
        self.reporter = reporter
        self.model.to(context.device)  # Lightning has moved it to the CPU
        self._choose(best, averaging)
        return Throughput(reporter.examples, "examples")

    def _choose(self, best: Best | None, averaging: Averaging | None) -> None:
        """Load the weights that are evaluated and exported, let the model settle, and print which they are."""
        self.model.settle(self.data)
        if best is None and averaging is None:
            return
        self.others["last"] = copied(self.model.state_dict())
        if averaging:
            averaging.put_in()
            self.judged = f"averaged weights (EMA with a decay of {averaging.settings.decay:g})"
        if best and best.weights is None:
            notice(f"{best.metric} was never a finite number: the last weights are evaluated and exported")
        elif best:
            self.model.load_state_dict(best.weights)  # type: ignore[arg-type]
        self.model.settle(self.data)
        if best and best.weights:
            self.others["best"] = copied(self.model.state_dict())
            kind = self.judged or "weights"
            self.judged = f"{kind} of the best epoch by {best.metric} (epoch {best.epoch}, {best.value:.4g})"
        if self.judged:
            notice(f"evaluated and exported: the {self.judged}")

    def rehearsal(self) -> Callable[[], object]:
        return rehearsed(self.model, next(iter(training_batches(self.data, self.model.device, seed=0))))

    @contextmanager
    def trial(self, context: RunContext) -> Iterator[Turn]:
        reporter = Reporter(context, Unseen("", 1, ""), steps=self.steps.steps, log_every=self.settings.log_every)

        def turn(seconds: float) -> Timing:
            laps = Laps(seconds, context.device)
            batches = TimedBatches(self.batches, laps.lap)
            with quiet_lightning(), data_workers(), suppress(TurnOver):
                while True:  # a short training comes to its end in a turn
                    reporter.step = 0
                    callbacks = laps.callbacks(Seeding(context.seed), GradientWatch(), reporter)
                    trainer = lightning_trainer(
                        context,
                        callbacks,
                        epochs=self.steps.epochs,
                        accumulate=self.settings.accumulate,
                        precision=self.settings.precision,
                    )
                    trainer.fit(self.model, batches)
            return Timing(laps.batches, laps.seconds)

        turn(0)  # warm-up: what is built at first use is not timed
        yield turn

    def evaluate(self, context: RunContext) -> dict[str, float]:
        self.model.prepare_test(self.data, context.device, fast_dev_run=context.fast_dev_run)
        total = 1 if context.fast_dev_run else len(self.test)
        with context.progress("evaluating", total, "batches") as progress:
            trainer = lightning_trainer(context, [EvaluationProgress(progress)])
            with quiet_lightning():
                trainer.test(self.model, self.test, verbose=False)
        return {name: float(value) for name, value in trainer.callback_metrics.items()}

    def draw(self, context: RunContext) -> None:
        by_steps = self.settings.pictures_every_steps is not None
        axis, at = ("global_step", self.reporter.step) if by_steps else ("epoch", self.reporter.epoch)
        draw(self.model, next(iter(self.test)), context, axis=axis, at=at)
        for name in self.model.films:
            film(name, context, axis=axis, at=at)

    def states(self) -> dict[str, State]:
        return {"final": dict(self.model.state_dict()), **self.others}

    def load_states(self, states: Mapping[str, State]) -> None:
        self.model.load_state_dict(states["final"])

    def form(self) -> dict[str, Any] | None:
        return spec_as_json(self.data.spec)

    def rebuild(self, form: Mapping[str, Any], device: torch.device) -> None:
        self.model = self.model_factory(spec_from_json(form))
        self.model.to(device)

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        films = {f"pictures/{name}-film": f"all pictures {name} of the training, in turn" for name in self.model.films}
        return {**films, **self.model.descriptions}

    @property
    def dataset(self) -> DatasetInfo:
        return self.data.info

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        return self.model.artifacts()

    def baselines(self, context: RunContext) -> Mapping[str, Mapping[str, float]]:
        return self.model.baselines(self.data)

    def bounds(self, context: RunContext) -> Mapping[str, Mapping[str, float]]:
        return self.model.bounds(self.data)

    @property
    def trained(self) -> object:
        return self.model
