"""The norm of the gradient, and a check that it is finite."""

from __future__ import annotations

import math

import pytorch_lightning as pl
import torch

from lab.errors import DivergedError


class GradientWatch(pl.Callback):
    """Stops before a NaN reaches the weights. Only on the CPU: elsewhere reading a number waits for the device."""

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if module.device.type == "cpu":
            require_finite_gradients(optimizer, f"epoch {trainer.current_epoch + 1}")


def gradient_norm(optimizer: torch.optim.Optimizer) -> float:
    """Return the Euclidean norm of the whole gradient that `optimizer` is about to use."""
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).item()


def require_finite_gradients(optimizer: torch.optim.Optimizer, where: str) -> None:
    """Raise DivergedError when the gradient that `optimizer` is about to use has a NaN or an infinity."""
    norm = gradient_norm(optimizer)
    if not math.isfinite(norm):
        raise DivergedError(f"the norm of the gradient became {norm} in {where}, before the weights were changed")
