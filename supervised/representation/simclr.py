"""Features learned without labels, from two views of each image (Chen et al. 2020, 'A simple framework for contrastive
learning of visual representations')."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.config.types import PositiveFloat, PositiveInt
from lab.data.augment import Augment
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.training import Model
from lab.training.captions import named_rows
from supervised.representation.contrast import nt_xent, partners, similarities
from supervised.representation.few import Features, few_label_accuracy, untrained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

# Dimensions: B images, C H W of an image, F features, Z numbers of a projection.

SHOWN = 16  # images of a picture
NEIGHBOURS = 8
LABELS = 100  # of each class, for the probe


class SimCLR(Model):
    """Two views of one image are to be more alike than views of different images.

    The encoder and two layers above it, the projection, turn each view into a vector. The loss compares these. What is
    used elsewhere is the encoder: its features are better than the projection, which forgets what differs between views
    (section 4.2). No label is used in training. Labels of a few images measure the features in the end.

    Args:
        encoder: the trunk, which is trained.
        views: the random changes that make a view of an image.
        projection: numbers of a projection.
        temperature: by which cosines are divided. With a low one, the most alike of the other images count most.
    """

    family = "supervised"
    descriptions = {
        "val/loss": "cross-entropy of finding the other view of an image among all other views of a batch",
        "val/found": "share of the views that are most like the other view of their image",
        "test/accuracy": f"of logistic regression on the features, fitted to {LABELS} images of each class",
        "pictures/views": "test images, and two views of each",
        "pictures/neighbours": "a test image in each row, and the test images of its batch whose features are "
        "most like its own, by the cosine",
    }

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        views: Augment,
        projection: PositiveInt = 64,
        temperature: PositiveFloat = 0.5,
    ) -> None:
        super().__init__(spec)
        image = spec.require_one_input("SimCLR")
        image.require_image("SimCLR")
        if views == Augment():
            raise ConfigError(
                "model.views must change images, or both views of an image are the same; received no change: set "
                "rotate, shift, stretch, shear, stroke or flip"
            )
        self.views, self.temperature = views, temperature
        self.encoder = build_encoder(encoder, image)
        width = self.encoder.features_dim
        self.projection = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, projection))

    def forward(self, x: Tensor) -> Tensor:
        """Return projections `(B, Z)` of images `(B, C, H, W)`."""
        return self.projection(self.encoder(x))  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        # Each view passes by itself, or batch norms would see twice as many images as there are in the batch.
        first, second = (self(self.views(batch).inputs) for _ in range(2))
        with torch.no_grad():
            guessed = similarities(first, second).argmax(1)
            found = (guessed == partners(len(batch), guessed.device)).float().mean()
        return {"loss": nt_xent(first, second, self.temperature), "found": found}

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """The test measures the features."""

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        self.tested = data

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        self.log_dict(self._told(self.tested, self.encoder))

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The same logistic regression on less."""
        return {
            "logistic regression on inputs": self._told(data, lambda x: x.flatten(1)),
            "logistic regression on random features": self._told(data, untrained(self.encoder, self.device)),
        }

    def _told(self, data: DataModule, features: Features) -> dict[str, float]:
        return {"test/accuracy": few_label_accuracy(data, self.device, features, LABELS)}

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Views of images, and the nearest neighbours of some."""
        x, _ = batch
        rows = [x[:SHOWN], *(self.views(Batch(x[:SHOWN])).inputs for _ in range(2))]
        drawn = {"views": named_rows(torch.cat(rows), ["image", "view", "view"], len(rows[0]))}
        features = F.normalize(self.encoder(x), dim=1)
        near = (features[:SHOWN] @ features.T).topk(min(NEIGHBOURS + 1, len(x)), dim=1).indices  # itself first
        names = [""] * len(near)
        drawn["neighbours"] = named_rows(x[near.flatten()], names, near.shape[1])
        return drawn
