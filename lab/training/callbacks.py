"""Small Lightning callbacks: seeding, a check of the gradient, and the progress bar of evaluation."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl
import torch

from lab.console.progress import Progress
from lab.errors import DivergedError
from lab.system.randomness import derived_seed, seed_everything

VALIDATION = 2**31  # takes the place of the batch number in the seed of a validation


def stepped(trainer: pl.Trainer, batch: int) -> bool:
    """Whether the optimizer made a step with this batch, counted from 0 in its epoch: an accumulation is complete."""
    return (batch + 1) % trainer.accumulate_grad_batches == 0 or batch + 1 == trainer.num_training_batches


class Seeding(pl.Callback):
    """Seeds each batch from (seed, epoch, batch).

    What a batch draws does not depend on what was drawn before it, so a resumed run needs no generator's state. Each
    epoch's validation has its own seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, i: int) -> None:
        seed_everything(derived_seed(self.seed, trainer.current_epoch, i))

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        seed_everything(derived_seed(self.seed, trainer.current_epoch, VALIDATION))


class GradientWatch(pl.Callback):
    """Stops before a NaN reaches the weights. Only on the CPU: elsewhere reading a number waits for the device."""

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if module.device.type == "cpu":
            require_finite_gradients(optimizer, f"epoch {trainer.current_epoch + 1}")


class TestProgress(pl.Callback):
    """Moves the progress bar during evaluation."""

    __test__ = False  # pytest collects classes of this name

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_test_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, i: int, loader: int = 0
    ) -> None:
        self.progress.update(i + 1)


def gradient_norm(optimizer: torch.optim.Optimizer) -> float:
    """Return the Euclidean norm of the whole gradient that `optimizer` is about to use."""
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).item()


def require_finite_gradients(optimizer: torch.optim.Optimizer, where: str) -> None:
    """Raise DivergedError when the gradient that `optimizer` is about to use has a NaN or an infinity."""
    norm = gradient_norm(optimizer)
    if not math.isfinite(norm):
        raise DivergedError(f"the norm of the gradient became {norm} in {where}, before the weights were changed")
