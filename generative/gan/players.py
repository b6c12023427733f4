"""One step of one of several players."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lab.training.model import Model


def step(model: Model, optimizer: Any, loss: Tensor) -> None:
    """Make one step of one optimizer of a model that steps them itself. No gradients of the parameters of the other
    players are computed, nor of those that are frozen; where all are, nothing happens."""
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    if not parameters:
        return
    optimizer.zero_grad()
    model.manual_backward(loss + model.optimization.penalty(parameters), inputs=parameters)
    model.configure_gradient_clipping(optimizer)
    optimizer.step()
