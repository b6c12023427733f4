"""Classification of points in the plane, which can be watched: the model draws where it decides for which class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lab.config.types import NonNegativeFloat, PositiveFloat, Probability
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches, training_batches
from lab.data.spec import DataSpec, InputSpec
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from lab.training.pictures import canvas, labels, rendered
from supervised.classifier import Classifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image

FINE = 180  # points along a side of the picture at which the model is asked
MARGIN = 0.08  # of the picture, around the training points
SHOWN = 1_000  # points
COLOURS = ("#3264a8", "#e07b28", "#3a9a5b", "#b23a48", "#7d5ba6", "#8c6d46", "#d675b1", "#7f7f7f", "#b5b52b", "#3bb5c3")


class PlaneClassifier(Classifier):
    """A classifier of points in the plane. While it trains, it draws the validation points over the classes that it
    gives to all places around them, and the run makes a film of these pictures.

    Args:
        encoder, label_smoothing, encoder_rate, scale, focal: see `Classifier`.
    """

    films = ("decision_boundary",)
    frame: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        label_smoothing: Probability = 0.0,
        encoder_rate: PositiveFloat = 1.0,
        scale: bool = False,
        focal: NonNegativeFloat = 0.0,
    ) -> None:
        if not isinstance(spec.input, InputSpec) or spec.input.shape != (2,) or spec.input.dtype != "float32":
            form = "several inputs" if isinstance(spec.input, dict) else f"inputs of shape {spec.input.shape}"
            raise ConfigError(f"PlaneClassifier needs points (x, y), as lab.data.Points has them, received {form}")
        super().__init__(
            spec,
            encoder=encoder,
            label_smoothing=label_smoothing,
            encoder_rate=encoder_rate,
            scale=scale,
            focal=focal,
        )
        self.register_buffer("frame", torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
        self.descriptions = {
            **self.descriptions,
            "pictures/decision_boundary": "the class that the model gives to each place, paler where it is less sure, "
            "and points in the colours of their true classes, the mistakes with a black edge; of validation points "
            "while it trains, of test points at the end",
        }

    def adapt(self, data: DataModule) -> None:
        super().adapt(data)
        points = torch.cat([x for x, _ in training_batches(data, self.device, seed=0)])
        low, high = points.min(0).values, points.max(0).values
        self.frame.copy_(torch.stack([low - MARGIN * (high - low), high + MARGIN * (high - low)]))

    def bounds(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The best guess that there is, where it is known how the points are generated."""
        generator = getattr(data, "generator", None)
        if generator is None:
            return {}
        measured = self.metrics()
        for points, true in testing_batches(data, self.device):
            guessed = generator.log_densities(points).argmax(1)
            for metric in measured.values():
                metric.to(self.device).update(guessed, true)
        return {"densities known": {f"test/{name}": float(one.compute()) for name, one in measured.items()}}

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """The boundary between the classes, and the confusion matrix of the test."""
        points, true = (part[:SHOWN] for part in batch)
        (left, bottom), (right, top) = self.frame.tolist()
        x, y = (torch.linspace(low, high, FINE) for low, high in ((left, right), (bottom, top)))
        places = torch.cartesian_prod(y, x).flip(1).to(points)  # row by row
        sure, decided = self(places).softmax(1).max(1)
        wrong = self(points).argmax(1) != true
        drawn = _drawn(
            points.cpu(), true.cpu(), wrong.cpu(), (left, right, bottom, top), _coloured(sure, decided), self.names
        )
        return {"decision_boundary": drawn, **super().pictures(batch)}


def _coloured(sure: Tensor, decided: Tensor) -> Tensor:
    """Return the colour of each place, `(FINE, FINE, 3)`, for the probability and the number of its class."""
    from matplotlib.colors import to_rgb

    palette = torch.tensor([to_rgb(COLOURS[i % len(COLOURS)]) for i in range(int(decided.max()) + 1)])
    strength = 0.15 + 0.45 * sure.cpu()[:, None]
    return (1 - strength * (1 - palette[decided.cpu()])).view(FINE, FINE, 3)


def _drawn(
    points: Tensor,
    true: Tensor,
    wrong: Tensor,
    extent: tuple[float, float, float, float],
    background: Tensor,
    names: Sequence[str],
) -> Image:
    figure = canvas(4.6, 4.6)
    axes = figure.add_subplot()
    axes.imshow(background.numpy(), extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
    for number, name in enumerate(labels(names)):
        chosen = true == number
        edges = ["black" if one else "white" for one in wrong[chosen].tolist()]
        colour = COLOURS[number % len(COLOURS)]
        x, y = points[chosen].T
        axes.scatter(x, y, s=14, color=colour, edgecolors=edges, linewidths=0.6, label=name)
    axes.set(
        xlim=extent[:2],
        ylim=extent[2:],
        title=f"{1 - float(wrong.float().mean()):.1%} of {len(points):,} points correct",
    )
    axes.legend(loc="upper right", fontsize=8, title="true class", title_fontsize=8)
    return rendered(figure)
