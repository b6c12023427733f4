"""A training step on a copy of a model, to measure how long it takes."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch

from lab.data.batch import Batch
from lab.training.model import Model


def rehearsed(model: Model, batch: Batch) -> Callable[[], None]:
    """Return a function that computes the loss of a batch and its gradients, with a copy of the model."""
    double = copy.deepcopy(model).train()

    def step() -> None:
        double.zero_grad()
        torch.autograd.backward(double.losses(batch)["loss"])

    return step
