"""Small models and data for tests of training."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from lab.config.types import PositiveFloat
from lab.data.base import Batches, DataModule, DatasetInfo
from lab.data.batch import Batch
from lab.data.batches import TensorBatches
from lab.data.sound import Sound
from lab.data.spec import DataSpec, InputSpec, Values
from lab.training import Model
from lab.training.optimization import ParameterGroup


class Line(DataModule):
    """Points on a line with noise: `(N, 3)` inputs, one value each.

    Args:
        batch_size: of training.
    """

    def __init__(self, *, batch_size: int = 10) -> None:
        self.batch_size = batch_size

    def prepare(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(140, 3, generator=generator)
        self.y = self.x.sum(1, keepdim=True) + 0.1 * torch.randn(140, 1, generator=generator)
        self.spec, self.info = DataSpec(InputSpec((3,)), Values((1,))), DatasetInfo("line")

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return TensorBatches(self.x[:100], self.y[:100], batch_size=batch_size or self.batch_size, seed=seed)

    def validation(self, device: torch.device) -> Batches | None:
        return TensorBatches(self.x[100:120], self.y[100:120], batch_size=7, seed=None)

    def test(self, device: torch.device) -> Batches:
        return TensorBatches(self.x[120:], self.y[120:], batch_size=7, seed=None)


class Regression(Model):
    """A linear model with a norm, a hidden layer and an absolute error as its metric; without an encoder.

    Args:
        spec: of the data.
        rate: factor on the learning rate of the output layer.
        dead: whether the hidden units get a bias that no input can overcome.
    """

    def __init__(self, spec: DataSpec, *, rate: PositiveFloat = 1.0, dead: bool = False) -> None:
        super().__init__(spec)
        self.rate = rate
        self.body = nn.Sequential(nn.Linear(3, 8), nn.LayerNorm(8), nn.ReLU())
        self.output = nn.Linear(8, 1)
        if dead:
            with torch.no_grad():
                self.body[1].bias.fill_(-100)  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.body(x))  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, y = batch
        return {"loss": (self(x) - y).square().mean()}

    def metrics(self) -> dict[str, Any]:
        return {"absolute": MeanMetric()}

    def measure(self, batch: Batch, metrics: Any) -> dict[str, Tensor]:
        x, y = batch
        error = self(x) - y
        metrics["absolute"].update(error.abs())
        return {"loss": error.square().mean()}

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup(self.body.parameters()), ParameterGroup(self.output.parameters(), rate=self.rate)]

    def texts(self, batch: Batch) -> dict[str, str]:
        return {"equation": f"<b>y</b> = x · {self.output.weight.sum():.3f}"}

    def sounds(self, batch: Batch) -> dict[str, Sound]:
        return {"sweep": Sound(torch.sin(torch.arange(800) / 5), 8000)}


class Watched(Regression):
    """Keeps whether it was trained, and the type of its results, at each use."""

    seen: ClassVar[set[tuple[bool, torch.dtype]]] = set()

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        self.seen.add((self.training, y.dtype))
        return y
