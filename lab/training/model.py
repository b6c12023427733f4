"""Base class of all Lightning models: built from a DataSpec, optimised by one Optimization, measured by metrics."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor

from lab.config.roles import Roles
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.encoders.base import Encoder
from lab.encoders.files import save_encoder
from lab.encoders.trained_on import TrainedOn
from lab.errors import DivergedError
from lab.system.randomness import own_randomness
from lab.training.optimization import Optimization, ParameterGroup, by_layer

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR
    from torchmetrics import Metric

    from lab.data.sound import Sound


class Model(pl.LightningModule, ABC):
    """Base of the lab's Lightning models. A subclass says what its losses are; most build `self.encoder`.

    Args:
        spec: of the data, given by the run; everything else is a setting.
    """

    family: ClassVar[str] = "custom"
    """The package of the shipped experiments that a model belongs to."""
    roles: ClassVar[Roles] = Roles()
    """Which settings are budget, protocol and so on; a subclass names only its own."""
    averaged: ClassVar[Sequence[str]] = ("",)
    """Names of the submodules that `trainer.ema` averages; by default the whole model."""
    films: ClassVar[Sequence[str]] = ()
    """Names of the pictures of which the run makes a film at its end, from what it has drawn by the way."""
    encoder: Encoder
    descriptions: Mapping[str, str] = {}
    """What the metrics mean where the name alone does not say."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec
        self.optimization = Optimization()
        self.total_steps = 1
        """Length of the training in optimizer steps; set by the run before it trains."""
        self.fast_dev_run = False
        """Whether the run does only a little of every stage; set by the run before it trains."""
        self.running: dict[str, Metric] = {}
        """The metrics of the running validation or test."""

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return scalars for one batch: `loss`, which is minimised, and any others, which are logged."""

    def metrics(self) -> dict[str, Metric]:
        """Return fresh torchmetrics by name (`accuracy`), each of which computes one scalar.

        They are computed over a whole validation or test split and logged as `val/accuracy` and `test/accuracy`.
        """
        return {}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        """Return the losses of one batch of validation or test data, without gradients and in eval mode.

        A model with `metrics` overrides this to update them in the same pass. The losses are averaged over the split,
        each batch weighted by `batch.weight`.
        """
        return self.losses(batch)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return all parameters by optimizer, with their rates and whether weight decay applies to them."""
        return [ParameterGroup(self.parameters())]

    def optimizers_of(self, settings: Optimization) -> dict[str, tuple[Optimizer, LambdaLR]]:
        """Return the optimizers of all parameters by name, each with its schedule."""
        return settings.build(self.groups_of(settings), self.total_steps)

    def groups_of(self, settings: Optimization) -> list[ParameterGroup]:
        """Return the parameter groups with the rates of the encoder's layers."""
        groups = self.parameter_groups()
        if settings.layer_rate == 1:
            return groups
        return by_layer(groups, self.encoder.layers_in_order(), settings.layer_rate)

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Return pictures by name (`samples`, `reconstructions`); drawn in eval mode without gradients."""
        return {}

    def texts(self, batch: Batch) -> dict[str, str]:
        """Return texts by name, made in eval mode without gradients."""
        return {}

    def sounds(self, batch: Batch) -> dict[str, Sound]:
        """Return sounds by name, made in eval mode without gradients."""
        return {}

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        """Return what other experiments can use, by name, with a function that writes it to a folder. By default that
        is the encoder, if there is one."""
        encoder = getattr(self, "encoder", None)
        if not isinstance(encoder, Encoder):
            return {}
        known = TrainedOn.of(encoder, self.spec, self.input_preparation)
        return {"encoder": partial(save_encoder, encoder, trained_on=known)}

    @property
    def input_preparation(self) -> str | None:
        """How inputs are prepared before the encoder sees them, in a few words such as `standardised by the training
        data`; None where it sees them as they are in the data."""
        return None

    @property
    def preparation_settings(self) -> Mapping[str | None, str]:
        """The settings by which inputs are prepared in another way, by the words for it."""
        return {}

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """Return the test metrics of the simplest methods worth comparing with, by the name of the method.

        They are fitted to the training split and tested on the test split of the prepared `data`.
        """
        return {}

    def bounds(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """Return the test metrics that no model is expected to beat, by what they are the metrics of: of real images
        beside generated ones, or of a method that knows how the data were generated."""
        return {}

    def adapt(self, data: DataModule) -> None:
        """Take from the training examples what the model needs before it trains, such as numbers that scale its inputs.

        Called when the model is built to be trained or evaluated, on the CPU. What it sets must follow from `data`
        alone, and must be in the state dict: so it is saved, and `lab predict` needs no data.
        """

    def settle(self, data: DataModule) -> None:
        """Choose what depends on the trained weights, such as a threshold, by training or validation examples.

        Called after training with the weights that are judged, before they are saved. What it sets must be in the state
        dict.
        """

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        """Called before the test, for example to compute statistics of the data that the test needs."""

    @contextmanager
    def at_rest(self, seed: int) -> Iterator[None]:
        """Inside the block, the model is in eval mode without gradients, and random numbers are seeded with `seed`.

        Training continues as if the block had not run.
        """
        training = self.training
        with own_randomness(self.device, seed), torch.no_grad():
            self.eval()
            try:
                yield
            finally:
                self.train(training)

    def training_step(self, batch: Batch, batch_index: int) -> Any:
        losses = self._mixed(batch) if self.optimization.mixup else self.losses(batch)
        losses["loss"] = losses["loss"] + self.optimization.penalty(self.parameters())
        self.require_finite(losses)
        return losses

    def on_validation_epoch_start(self) -> None:
        self._start_metrics()

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        self._measure(batch, "val")

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val")

    def on_test_epoch_start(self) -> None:
        self._start_metrics()

    def test_step(self, batch: Batch, batch_index: int) -> None:
        self._measure(batch, "test")

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def configure_optimizers(self) -> Any:
        built = list(self.optimizers_of(self.optimization).values())
        if self.automatic_optimization:
            ((optimizer, schedule),) = built
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
        return [optimizer for optimizer, _ in built], [schedule for _, schedule in built]

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Clip by our own setting: Lightning refuses its setting for models that call their optimizers themselves."""
        if self.optimization.gradient_clip_norm is not None:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.optimization.gradient_clip_norm)

    def require_finite(self, losses: Mapping[str, Tensor]) -> None:
        """Raise DivergedError before a NaN reaches the weights.

        Only on the CPU: elsewhere reading a number waits for the device. There the reporter checks every row that it
        logs, and the end of every epoch.
        """
        if self.device.type == "cpu":
            for name, value in losses.items():
                if not math.isfinite(value.item()):
                    raise DivergedError(f"train/{name} became {value.item()} in epoch {self.current_epoch + 1}")

    def _mixed(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of each input mixed with another one, by the targets of both in the same shares."""
        x, targets = batch
        alpha, order = torch.tensor(self.optimization.mixup), torch.randperm(len(batch), device=x.device)
        share = torch.distributions.Beta(alpha, alpha).sample().item()
        mixed = replace(batch, inputs=share * x + (1 - share) * x[order])
        own, others = self.losses(mixed), self.losses(replace(mixed, targets=targets[order]))
        return {name: share * value + (1 - share) * others[name] for name, value in own.items()}

    def _start_metrics(self) -> None:
        self.running = {name: metric.to(self.device) for name, metric in self.metrics().items()}

    def _measure(self, batch: Batch, split: str) -> None:
        losses = self.measure(batch, self.running)
        self.log_dict({f"{split}/{name}": value for name, value in losses.items()}, batch_size=batch.weight)

    def _log_metrics(self, split: str) -> None:
        self.log_dict({f"{split}/{name}": metric.compute() for name, metric in self.running.items()})


ModelFactory = Callable[[DataSpec], Model]
"""How a config gives a model: a class and its settings, still waiting for the spec of the data."""
