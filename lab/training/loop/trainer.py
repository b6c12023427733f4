"""Lightning's Trainer without what the runner does itself: printing, logging, saving."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.plugins.precision import MixedPrecision

from lab.experiment import RunContext
from lab.training.loop.checkpoint_io import InMemory


def lightning_trainer(
    context: RunContext,
    callbacks: Sequence[pl.Callback],
    *,
    epochs: int = 1,
    accumulate: int = 1,
    precision: Literal["32-true", "bf16-mixed"] = "32-true",
    memory: InMemory | None = None,
) -> pl.Trainer:
    """Return a Trainer for one device; with a `memory` it can be saved and restored."""
    limit, device = 1 if context.fast_dev_run else None, context.device.type
    mixed = [TrainingPrecision(precision, device)] if precision == "bf16-mixed" else []
    with quiet_lightning():
        return pl.Trainer(
            accelerator={"cuda": "gpu"}.get(device, device),
            devices=1,
            precision=None if mixed else precision,
            max_epochs=epochs,
            accumulate_grad_batches=accumulate,
            limit_train_batches=2 if context.fast_dev_run else None,
            limit_val_batches=limit,
            limit_test_batches=limit,
            num_sanity_val_steps=0,
            callbacks=list(callbacks),
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=memory is not None,
            default_root_dir=context.dir,
            # One process, also inside a SLURM job.
            plugins=[LightningEnvironment(), *mixed, *([memory] if memory else [])],
        )


class TrainingPrecision(MixedPrecision):
    """Mixed precision in training alone: validation is in float32, as the evaluation is."""

    @contextmanager
    def val_step_context(self) -> Iterator[None]:
        yield


class quiet_lightning(warnings.catch_warnings):  # noqa: N801  # a context manager reads as a verb
    """Silence Lightning's advice about worker processes and loggers: the lab replaces them on purpose."""

    def __enter__(self) -> None:
        super().__enter__()
        self.logger = logging.getLogger("pytorch_lightning")
        self.level = self.logger.level
        self.logger.setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", module="lightning_fabric")

    def __exit__(self, *error: Any) -> None:
        self.logger.setLevel(self.level)
        super().__exit__(*error)
