"""Semantic segmentation by a U-Net (Ronneberger et al. 2015)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from lab.capabilities import Prediction
from lab.config.types import PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.generated.scenes import INK
from lab.data.loader import testing_batches, training_batches
from lab.data.spec import DataSpec, Masks
from lab.errors import ConfigError
from lab.nn.unet import UNet
from lab.training.exportable import Exportable
from supervised.segmentation.colours import coloured, indexed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image
    from torchmetrics import Metric

SHOWN = 8  # images of a picture

# Dimensions: B images, C classes with the background, H W sides of an image.


class Segmenter(Exportable):
    """Says of each pixel which class it belongs to, by cross-entropy.

    Args:
        widths: channels of the U-Net's maps at each resolution, fine to coarse, multiples of 8.
        blocks: residual blocks at each resolution, on either way.
        patch: side of the squares of pixels that are one place of the finest map.
    """

    family = "supervised"
    results = ("logits",)
    any_size: ClassVar[bool] = True
    descriptions = {
        "test/mean_iou": "mean over the classes, the background among them, of the pixels that truth and prediction "
        "have in common, divided by those that either has",
        "test/pixel_accuracy": "share of the pixels whose class is right, most of them background",
        "pictures/masks": "test images, the true class of each pixel, and the predicted one; black is the background",
    }

    def __init__(
        self,
        spec: DataSpec,
        *,
        widths: Sequence[PositiveInt] = (32, 64, 96),
        blocks: PositiveInt = 1,
        patch: PositiveInt = 2,
    ) -> None:
        super().__init__(spec)
        if not isinstance(spec.target, Masks):
            raise ConfigError("Segmenter needs a class for each pixel, as lab.data.Scenes has with data.targets=masks")
        channels, *_ = spec.require_one_input("Segmenter").require_image("Segmenter")
        self.classes = spec.target.n
        self.names = spec.target.names or [str(i) for i in range(self.classes)]
        self.network = UNet(channels, self.classes, channels=tuple(widths), blocks=blocks, patch=patch)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits `(B, C, H, W)` for images `(B, channels, H, W)`."""
        return self.network(x)  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, masks = batch
        return {"loss": F.cross_entropy(self(x), masks)}

    def metrics(self) -> dict[str, Metric]:
        return {
            "mean_iou": MulticlassJaccardIndex(self.classes),
            "pixel_accuracy": MulticlassAccuracy(self.classes, average="micro"),
        }

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        x, masks = batch
        logits = self(x)
        for metric in metrics.values():
            metric.update(logits.argmax(1), masks)
        return {"loss": F.cross_entropy(logits, masks)}

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """What one gets without looking, and by ink alone: all ink is of the class that has most of it in training."""
        ink = torch.zeros(self.classes, device=self.device)
        for _, masks in training_batches(data, self.device, seed=0):
            ink += masks.flatten().bincount(minlength=self.classes)
        most = int(ink[1:].argmax()) + 1
        ways: dict[str, Callable[[Tensor], Tensor]] = {
            "ink is always the most frequent class": lambda x: (x.amax(1) > INK).long() * most,
            "all background": lambda x: torch.zeros_like(x[:, 0], dtype=torch.long),
        }
        found = {}
        for name, way in ways.items():
            metrics = {key: metric.to(self.device) for key, metric in self.metrics().items()}
            for x, masks in testing_batches(data, self.device):
                for metric in metrics.values():
                    metric.update(way(x), masks)
            found[name] = {f"test/{key}": float(metric.compute()) for key, metric in metrics.items()}
        return found

    def predict(self, inputs: Tensor) -> list[Prediction]:
        """Return the classes in images `(B, channels, H, W)` in [0, 1], of any size, each with its number of pixels;
        and the class of each pixel as a picture whose pixels are the numbers of the classes."""
        with self.at_rest(seed=0):
            masks = self(inputs.to(self.device)).argmax(1).cpu()
        return [Prediction(things=list(self._counted(mask)), picture=indexed(mask, self.classes)) for mask in masks]

    def _counted(self, mask: Tensor) -> Iterator[dict[str, str | float]]:
        counts = mask.flatten().bincount(minlength=self.classes).tolist()
        for i, count in enumerate(counts[1:], 1):
            if count:
                yield {"label": self.names[i], "pixels": count}

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Images, their true masks, and the predicted ones."""
        x, masks = (part[:SHOWN] for part in batch)
        return {"masks": coloured(x, {"true": masks, "predicted": self(x).argmax(1)}, self.names[1:])}
