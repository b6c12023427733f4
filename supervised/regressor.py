"""Regression: an encoder and one linear layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.capabilities import Prediction
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches, training_batches
from lab.data.spec import DataSpec, InputSpec, Values
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.nn.losses import LOSS_ROLES, SQUARED, RegressionLoss
from lab.training.exportable import Exportable
from lab.training.pictures import canvas, rendered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

SHOWN = 2_000  # examples of a picture
LEAST = 1e-12  # gradient that is drawn


class Regressor(Exportable):
    """Predicts one number of each example.

    Args:
        encoder: the trunk.
        loss: squared error, or a loss that wild examples pull less, or that of a quantile.
    """

    family = "supervised"
    roles = LOSS_ROLES
    results = ("value",)
    descriptions = {
        "test/mse": "mean squared error of the predicted number",
        "pictures/predictions": "predicted beside true numbers of test examples; on the line they are equal",
        "pictures/gradients": "how much the loss depends on each step of a sequence: the norm of its gradient, mean "
        "over the examples of a batch, on a logarithmic scale",
    }

    def __init__(self, spec: DataSpec, *, encoder: EncoderFactory, loss: RegressionLoss = SQUARED) -> None:
        super().__init__(spec)
        if not isinstance(spec.target, Values) or spec.target.shape:
            raise ConfigError("Regressor needs one number for each example as its target")
        self.encoder = build_encoder(encoder, spec.input)
        self.head = nn.Linear(self.encoder.features_dim, 1)
        self.loss = loss

    def forward(self, x: Tensor) -> Tensor:
        """Return the numbers `(B,)` for inputs `(B, *spec.input.shape)`."""
        return self.head(self.encoder(x))[:, 0]  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, wanted = batch
        return {"loss": self.loss(self(x), wanted)}

    def measure(self, batch: Batch, metrics: Mapping[str, object]) -> dict[str, Tensor]:
        x, wanted = batch
        predicted = self(x)
        return {"loss": self.loss(predicted, wanted), "mse": F.mse_loss(predicted, wanted)}

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The mean of the training targets."""
        mean = torch.cat([wanted for _, wanted in training_batches(data, self.device, seed=0)]).mean()
        errors = [(wanted - mean).square() for _, wanted in testing_batches(data, self.device)]
        return {"the mean": {"test/mse": torch.cat(errors).mean().item()}}

    def predict(self, inputs: Tensor) -> list[Prediction]:
        with self.at_rest(seed=0):
            return [Prediction(value=value) for value in self(inputs.to(self.device)).tolist()]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Predictions beside the truth; for sequences, the gradient at each step."""
        x, wanted = (part[:SHOWN] for part in batch)
        figure = canvas(4.5, 4.5)
        axes = figure.add_subplot()
        axes.scatter(wanted.cpu(), self(x).cpu(), s=5, alpha=0.5)
        low, high = float(wanted.min()), float(wanted.max())
        axes.plot([low, high], [low, high], color="black", linewidth=1)
        axes.set_xlabel("true number")
        axes.set_ylabel("predicted number")
        drawn = {"predictions": rendered(figure)}
        form = self.spec.input
        if isinstance(form, InputSpec) and form.time and form.dtype == "float32":
            drawn["gradients"] = _drawn(self.slopes(Batch(x[:SHOWN], wanted)))
        return drawn

    def slopes(self, batch: Batch) -> Tensor:
        """Return for each step of the sequences `(B, T, F)` the norm of the loss's gradient, mean over B: `(T,)`."""
        x, wanted = batch
        # cuDNN's recurrent nets have no gradients in eval mode.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            steps = x.detach().requires_grad_()
            loss = (self(steps) - wanted).square().sum()
            (gradient,) = torch.autograd.grad(loss, steps)
        slopes: Tensor = gradient.flatten(2).norm(dim=2).mean(0)
        return slopes


def _drawn(slopes: Tensor) -> Image:
    figure = canvas(6, 3.2)
    axes = figure.add_subplot()
    axes.semilogy(range(1, len(slopes) + 1), slopes.clamp(min=LEAST).cpu())
    axes.set_xlabel("step of the sequence")
    axes.set_ylabel("norm of the gradient")
    axes.grid(color="0.9")
    return rendered(figure)
