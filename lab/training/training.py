"""The Lightning kind of experiment: a model, its data, and how to train it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping as LightningEarlyStopping

from lab.console.progress import Unseen, notice
from lab.data.base import DataModule, DatasetInfo
from lab.data.loader import testing_batches, training_batches, validation_batches
from lab.errors import CheckpointError, ConfigError, nearest
from lab.experiment import Experiment, RunContext, State, Throughput, Timing, Turn
from lab.saving.saver import Cadence, CheckpointSettings
from lab.training.best import Best
from lab.training.callbacks import GradientWatch, Seeding, TestProgress
from lab.training.ema import Averaging
from lab.training.loop import data_workers, lightning_trainer, quiet_lightning
from lab.training.model import Model, ModelFactory
from lab.training.profiling import PARTS, Laps, TimedBatches, TurnOver
from lab.training.reporter import Reporter, draw
from lab.training.saving import Memory, Saving
from lab.training.settings import TrainerSettings
from lab.training.statistics import Statistics

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

    def __init__(
        self,
        *,
        model: ModelFactory,
        data: DataModule,
        trainer: TrainerSettings = DEFAULTS,
    ) -> None:
        self.model_factory, self.data, self.settings = model, data, trainer
        self.others: dict[str, State] = {}
        """Other weights worth keeping, by checkpoint name."""

    def prepare(self, seed: int, device: torch.device, *, fast_dev_run: bool = False) -> None:
        self.fast_dev_run = fast_dev_run
        self.data.prepare()
        self.notes = self.data.notes
        self.model = self.model_factory(self.data.spec)
        self.family = self.model.family  # type: ignore[misc]
        self.batches = training_batches(self.data, device, seed)
        self.validation = validation_batches(self.data, device)
        self.test = testing_batches(self.data, device)
        self.first_batch = next(iter(self.validation or training_batches(self.data, device, seed)))
        self.steps = self.settings.length(len(self.batches), fast_dev_run=fast_dev_run)
        self.total_steps = self.model.total_steps = self.steps.steps
        self.model.optimization = self.settings
        self._check_optimization()
        self._check_choices(device)

    def _check_optimization(self) -> None:
        name, by_hand = type(self.model).__name__, not self.model.automatic_optimization
        try:
            optimizers = self.settings.build(self.model.parameter_groups(), 1)
        except (ValueError, TypeError) as error:  # torch checks learning rates, betas and the like
            raise ConfigError(f"trainer.optimizer: {error}") from error
        if by_hand and self.settings.accumulate > 1:
            raise ConfigError(
                f"trainer.accumulate must be 1 for {name}, which calls its optimizers itself; "
                f"received {self.settings.accumulate}"
            )
        if not by_hand and len(optimizers) != 1:
            raise ConfigError(
                f"{name} has parameter groups for {len(optimizers)} optimizers ({', '.join(optimizers)}); a model with "
                "other than one sets automatic_optimization to False and steps them in training_step"
            )

    def _check_choices(self, device: torch.device) -> None:
        """Raise ConfigError where early stopping or `keep_best` names no figure of the validation."""
        stopping, keeping = self.settings.early_stopping, self.settings.keep_best
        wanted = {"trainer.early_stopping.monitor": stopping.monitor} if stopping else {}
        wanted |= {"trainer.keep_best.metric": keeping.metric} if keeping else {}
        if not wanted:
            return
        if self.validation is None:
            setting = next(iter(wanted)).rpartition(".")[0]
            raise ConfigError(f"{setting} needs validation examples, but the data holds none out")
        with self.model.to(device).at_rest(seed=0):
            metrics = {name: metric.to(device) for name, metric in self.model.metrics().items()}
            losses = self.model.measure(self.first_batch, metrics)
        names = [f"val/{name}" for name in (*losses, *metrics)]
        for setting, received in wanted.items():
            if received not in names:
                hint = nearest(received, names)
                raise ConfigError(f"{setting} must be one of {', '.join(names)}, received {received}{hint}")

    def cadence(self, wish: CheckpointSettings) -> Cadence:
        if wish.steps and wish.epochs:
            raise ConfigError("checkpoint takes steps or epochs, not both")
        if self.fast_dev_run:
            return Cadence(1)
        return Cadence(wish.epochs * self.steps.per_epoch if wish.epochs else wish.steps or SAVE_EVERY)

    def train(self, context: RunContext) -> Throughput:
        settings, length = self.settings, self.steps
        state = context.restored.state if context.restored else None
        start = state["step"] if state else 0
        if state:
            try:
                self.model.load_state_dict(state["lightning"]["state_dict"])
            except RuntimeError as error:
                reason = " ".join(str(error).split())[:160]
                raise CheckpointError(f"the checkpoint does not fit the settings: {reason}") from error
            self.batches.load_state_dict(state["batches"])  # Lightning does not save it at an epoch's end
        unit = "steps" if settings.accumulate > 1 else "batches"
        with context.progress("training", length.steps, unit, start=start) as progress:
            best = Best(settings.best_by) if settings.best_by else None
            averaging = Averaging(settings.ema, self.model) if settings.ema else None
            judged = averaging.in_place if averaging else nullcontext
            reporter = Reporter(context, progress, settings, length, self.first_batch, judged)
            memory = Memory(state["lightning"] if state else None)
            # The best weights are copied before the averaged ones are taken out, and averaged before they are drawn.
            callbacks: list[pl.Callback] = [Seeding(context.seed), GradientWatch()]
            callbacks += [one for one in (best, averaging) if one]
            callbacks += [reporter, Saving(context, memory, self.batches, reporter)]
            if settings.statistics_every:
                callbacks.append(Statistics(settings.statistics_every, context, reporter))
            if stopping := settings.early_stopping:
                callbacks.append(
                    LightningEarlyStopping(stopping.monitor, patience=stopping.patience, mode=stopping.mode)
                )
            trainer = lightning_trainer(
                context,
                callbacks,
                epochs=length.epochs,
                accumulate=settings.accumulate,
                precision=settings.precision,
                memory=memory,
            )
            with quiet_lightning(), data_workers():
                trainer.fit(self.model, self.batches, self.validation, ckpt_path="in memory" if state else None)
        self.reporter = reporter
        self._choose(best, averaging)
        return Throughput(reporter.examples, "examples")

    def _choose(self, best: Best | None, averaging: Averaging | None) -> None:
        """Put the weights that are judged into the model, and say which they are."""
        if best is None and averaging is None:
            return
        self.others["last"] = copied(self.model)
        if averaging:
            averaging.put_in()
            self.judged = f"averaged weights (EMA with a decay of {averaging.settings.decay:g})"
        if best and best.weights is None:
            notice(f"{best.settings.metric} was never a finite number: the last weights are evaluated and exported")
        elif best:
            self.model.load_state_dict(best.weights)  # type: ignore[arg-type]
            self.others["best"] = copied(self.model)
            kind = self.judged or "weights"
            self.judged = f"{kind} of the best epoch by {best.settings.metric} (epoch {best.epoch}, {best.value:.4g})"
        if self.judged:
            notice(f"evaluated and exported: the {self.judged}")

    @contextmanager
    def trial(self, context: RunContext) -> Iterator[Turn]:
        undrawn = replace(self.settings, pictures_every=2**62, pictures_every_steps=None)
        reporter = Reporter(context, Unseen("", 1, ""), undrawn, self.steps, self.first_batch)

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

        turn(0)  # what is built at first use belongs to no turn
        yield turn

    def evaluate(self, context: RunContext) -> dict[str, float]:
        self.model.prepare_test(self.data, context.device, fast_dev_run=context.fast_dev_run)
        total = 1 if context.fast_dev_run else len(self.test)
        with context.progress("evaluating", total, "batches") as progress:
            trainer = lightning_trainer(context, [TestProgress(progress)])
            with quiet_lightning():
                trainer.test(self.model, self.test, verbose=False)
        return {name: float(value) for name, value in trainer.callback_metrics.items()}

    def draw(self, context: RunContext) -> None:
        by_steps = self.settings.pictures_every_steps is not None
        axis, at = ("global_step", self.reporter.step) if by_steps else ("epoch", self.reporter.epoch)
        draw(self.model, next(iter(self.test)), context, axis=axis, at=at)

    def states(self) -> dict[str, State]:
        return {"final": dict(self.model.state_dict()), **self.others}

    def load_states(self, states: dict[str, State]) -> None:
        self.model.load_state_dict(states["final"])

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        return self.model.descriptions

    @property
    def dataset(self) -> DatasetInfo:
        return self.data.info

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        return self.model.artifacts()

    def baselines(self, context: RunContext) -> Mapping[str, Mapping[str, float]]:
        return self.model.baselines(self.data)

    @property
    def trained(self) -> object:
        return self.model


def copied(model: Model) -> State:
    """Return a copy of a model's weights and buffers."""
    return {name: value.clone() for name, value in model.state_dict().items()}
