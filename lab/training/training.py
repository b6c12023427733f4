"""The Lightning kind of experiment: a model, its data, and how to train it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import EarlyStopping as LightningEarlyStopping

from lab.config.types import PositiveInt
from lab.console.progress import Unseen
from lab.data.base import DataModule, DatasetInfo
from lab.data.loader import as_batches
from lab.errors import CheckpointError, ConfigError, DataWorkerError, nearest
from lab.experiment import Experiment, RunContext, State, Throughput, Timing, Turn
from lab.resume.saver import Cadence, CheckpointSettings
from lab.system.devices import own_randomness
from lab.training.callbacks import GradientWatch, Memory, Reporter, Saving, Seeding, TestProgress, draw
from lab.training.model import ModelFactory
from lab.training.optimization import Optimization
from lab.training.profiling import PARTS, Laps, TimedBatches, TurnOver

Precision = Literal["32-true", "bf16-mixed"]

SAVE_EVERY = 1_000  # batches, where the config does not say


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when a validation metric has not improved for `patience` epochs (Prechelt 1998).

    Args:
        monitor: the metric.
        patience: epochs without improvement.
        mode: whether less (`min`) or more (`max`) is better.
    """

    monitor: str = "val/loss"
    patience: PositiveInt = 5
    mode: Literal["min", "max"] = "min"


@dataclass(frozen=True)
class TrainerSettings(Optimization):
    """How to train: the optimization, and for how long.

    Args:
        max_epochs: passes over the training images.
        precision: of arithmetic in training; `bf16-mixed` pays on recent GPUs. Evaluation is always in float32.
        early_stopping: null for none.
        log_every: steps between two rows of training metrics.
        pictures_every: epochs between two sets of pictures.
    """

    max_epochs: PositiveInt = 10
    precision: Precision = "32-true"
    early_stopping: EarlyStopping | None = None
    log_every: PositiveInt = 50
    pictures_every: PositiveInt = 10


class Training(Experiment):
    """Trains a Lightning model on a data module.

    Args:
        model: the model's class and settings; its spec comes from the data.
        data: the data set.
        trainer: optimizer, schedule, epochs and the like.
    """

    lengths = ("trainer.max_epochs",)
    step = "batch"
    parts = PARTS

    def __init__(
        self,
        *,
        model: ModelFactory,
        data: DataModule,
        trainer: TrainerSettings = TrainerSettings(),
    ) -> None:
        self.model_factory, self.data, self.settings = model, data, trainer

    def prepare(self, seed: int, device: torch.device, *, fast_dev_run: bool = False) -> None:
        self.fast_dev_run = fast_dev_run
        self.data.prepare()
        self.model = self.model_factory(self.data.spec)
        self.model.optimization = self.settings
        self.family = self.model.family  # type: ignore[misc]
        try:
            self.settings.build(self.model.parameters(), 1)
        except (ValueError, TypeError) as error:  # torch checks learning rates, betas and the like
            raise ConfigError(f"trainer.optimizer: {error}") from error
        self.batches = as_batches(self.data.train(device, seed), device, seed=seed)
        held_out = self.data.validation(device)
        self.validation = held_out and as_batches(held_out, device, who="data.validation()")
        self.test = as_batches(self.data.test(device), device, who="data.test()")
        self.first_batch = next(iter(self.validation or as_batches(self.data.train(device, seed), device, seed=seed)))
        self._check_early_stopping(device)

    def _check_early_stopping(self, device: torch.device) -> None:
        stopping = self.settings.early_stopping
        if stopping is None:
            return
        if self.validation is None:
            raise ConfigError("trainer.early_stopping needs validation data, but data.val_size is 0")
        with own_randomness(device, seed=0), torch.no_grad():
            names = [f"val/{name}" for name in self.model.to(device).eval().losses(self.first_batch)]
            self.model.train()
        if stopping.monitor not in names:
            hint = nearest(stopping.monitor, names)
            raise ConfigError(
                f"trainer.early_stopping.monitor must be one of {', '.join(names)}, received {stopping.monitor}{hint}"
            )

    def cadence(self, wish: CheckpointSettings) -> Cadence:
        if wish.steps and wish.epochs:
            raise ConfigError("checkpoint takes steps or epochs, not both")
        if self.fast_dev_run:
            return Cadence(1)
        return Cadence(wish.epochs * len(self.batches) if wish.epochs else wish.steps or SAVE_EVERY)

    def train(self, context: RunContext) -> Throughput:
        epochs = 1 if context.fast_dev_run else self.settings.max_epochs
        per_epoch = min(2, len(self.batches)) if context.fast_dev_run else len(self.batches)
        state = context.restored.state if context.restored else None
        start = state["step"] if state else 0
        with context.progress("training", epochs * per_epoch, "batches", start=start) as progress:
            reporter = Reporter(
                context,
                progress,
                log_every=self.settings.log_every,
                pictures_every=self.settings.pictures_every,
                shown=self.first_batch,
            )
            memory = Memory(state["lightning"] if state else None)
            callbacks: list[pl.Callback] = [Seeding(context.seed), GradientWatch(), reporter]
            callbacks.append(Saving(context, memory, self.batches, reporter))
            if stopping := self.settings.early_stopping:
                callbacks.append(
                    LightningEarlyStopping(stopping.monitor, patience=stopping.patience, mode=stopping.mode)
                )
            trainer = self._trainer(context, epochs, callbacks, precision=self.settings.precision, memory=memory)
            if state:
                try:
                    self.model.load_state_dict(state["lightning"]["state_dict"])
                except RuntimeError as error:
                    reason = " ".join(str(error).split())[:160]
                    raise CheckpointError(f"the checkpoint does not fit the settings: {reason}") from error
                self.batches.load_state_dict(state["batches"])  # Lightning forgets it at an epoch's end
            with quiet_lightning(), data_workers():
                trainer.fit(self.model, self.batches, self.validation, ckpt_path="in memory" if state else None)
        self.epochs = reporter.epoch
        return Throughput(reporter.examples, "examples")

    @contextmanager
    def trial(self, context: RunContext) -> Iterator[Turn]:
        never, settings = 2**62, self.settings
        unseen = Unseen("", 1, "")
        reporter = Reporter(context, unseen, log_every=settings.log_every, pictures_every=never, shown=self.first_batch)

        def turn(seconds: float) -> Timing:
            laps = Laps(seconds, context.device)
            batches = TimedBatches(self.batches, laps.lap)
            with quiet_lightning(), data_workers(), suppress(TurnOver):
                while True:  # a short training comes to its end in a turn
                    callbacks = laps.callbacks(Seeding(context.seed), GradientWatch(), reporter)
                    trainer = self._trainer(context, settings.max_epochs, callbacks, precision=settings.precision)
                    trainer.fit(self.model, batches)
            return Timing(laps.batches, laps.seconds)

        turn(0)  # what is built at first use belongs to no turn
        yield turn

    def evaluate(self, context: RunContext) -> dict[str, float]:
        self.model.prepare_test(self.data, context.device, fast_dev_run=context.fast_dev_run)
        total = 1 if context.fast_dev_run else len(self.test)
        with context.progress("evaluating", total, "batches") as progress:
            trainer = self._trainer(context, 1, [TestProgress(progress)], precision="32-true")  # figures are exact ones
            with quiet_lightning():
                trainer.test(self.model, self.test, verbose=False)
        return {name: float(value) for name, value in trainer.callback_metrics.items()}

    def draw(self, context: RunContext) -> None:
        draw(self.model, next(iter(self.test)), context, axis="epoch", at=self.epochs)

    def states(self) -> dict[str, State]:
        return {"final": dict(self.model.state_dict())}

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

    def _trainer(
        self,
        context: RunContext,
        epochs: int,
        callbacks: list[pl.Callback],
        *,
        precision: Precision,
        memory: Memory | None = None,
    ) -> pl.Trainer:
        """Lightning's loop alone: what it would print, log or save, the runner does."""
        limit = 1 if context.fast_dev_run else None
        with quiet_lightning():
            return pl.Trainer(
                accelerator={"cuda": "gpu"}.get(context.device.type, context.device.type),
                devices=1,
                precision=precision,
                max_epochs=epochs,
                limit_train_batches=2 if context.fast_dev_run else None,
                limit_val_batches=limit,
                limit_test_batches=limit,
                num_sanity_val_steps=0,
                callbacks=callbacks,
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                enable_checkpointing=memory is not None,
                default_root_dir=context.dir,
                # One process, also inside a SLURM job.
                plugins=[LightningEnvironment(), *([memory] if memory else [])],
            )


@contextmanager
def data_workers() -> Iterator[None]:
    """Say in one way that a data module's worker process has died: torch does so in several."""
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        reason = " ".join(str(error).split())
        raise DataWorkerError(f"a process that loads data died ({reason}); `lab resume` goes on") from error


class quiet_lightning(warnings.catch_warnings):  # noqa: N801  # a context manager reads as a verb
    """Silence Lightning's advice: it is about worker processes and loggers that the lab replaces on purpose."""

    def __enter__(self) -> None:
        super().__enter__()
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", module="lightning_fabric")
