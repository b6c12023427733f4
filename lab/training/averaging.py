"""Exponential moving average of a model's weights, as a callback.

Lightning's `EMAWeightAveraging` is not used: it averages the whole module, also what is not to be averaged (a GAN's
discriminator and judge), copies the module with its trainer, and puts the average in place of the trained weights in
every checkpoint, where a resumed run looks for the trained ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lab.training.loop.steps import stepped
from lab.training.loop.weights import copied
from lab.training.model import Model
from lab.training.settings import EMA

State = dict[str, Tensor]


class Averaging(pl.Callback):
    """Averages the weights after optimizer steps, and validates with the average.

    Parameters and floating-point buffers are averaged; other buffers are copied.

    Args:
        settings: decay and interval.
        model: the parts that it names in `averaged` take part.
    """

    def __init__(self, settings: EMA, model: Model) -> None:
        self.settings, self.model = settings, model
        self.steps = self.updates = 0
        self.average: State = copied(self._weights())
        self.trained: State | None = None
        self.live: State | None = None
        """The model's weights while it trains: looked up once, since that takes longer than an update."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.live = self._weights()
        for name, value in self.live.items():  # a checkpoint's tensors are on the CPU
            self.average[name] = self.average[name].to(value.device)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, i: int
    ) -> None:
        if stepped(trainer, i):
            self.steps += 1
            if self.steps % self.settings.every == 0:
                self._update()

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.put_in()

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._take_out()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside the block, the model has the averaged weights."""
        self.put_in()
        try:
            yield
        finally:
            self._take_out()

    def state_dict(self) -> dict[str, Any]:
        return {"average": dict(self.average), "steps": self.steps, "updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.average = copied(state_dict["average"])
        self.steps, self.updates = state_dict["steps"], state_dict["updates"]

    @torch.no_grad()
    def _update(self) -> None:
        self.updates += 1
        decay = min(self.settings.decay, (1 + self.updates) / (10 + self.updates))
        weights = self.live or self._weights()
        floating = [name for name, value in weights.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.average[n] for n in floating], [weights[n] for n in floating], 1 - decay)
        for name in weights.keys() - set(floating):
            self.average[name].copy_(weights[name])

    def _weights(self) -> State:
        """The weights and buffers that are averaged, by name; they share the model's memory."""
        return {
            name: value
            for name, value in self.model.state_dict().items()
            if any(name.startswith(f"{part}." if part else "") for part in self.model.averaged)
        }

    @torch.no_grad()
    def put_in(self) -> None:
        """Put the average in place of the trained weights."""
        weights = self._weights()
        self.trained = copied(weights)
        for name, value in weights.items():  # in place: optimizers pair their numbers with the weights' memory
            value.copy_(self.average[name])

    @torch.no_grad()
    def _take_out(self) -> None:
        assert self.trained is not None
        for name, value in self._weights().items():
            value.copy_(self.trained[name])
        self.trained = None
