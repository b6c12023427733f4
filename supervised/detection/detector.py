"""An anchor-free detector: a map of centres, and a box for each (CenterNet, Zhou et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.capabilities import Prediction
from lab.config.types import PositiveFloat, PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches, training_batches
from lab.data.spec import Boxes, DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.encoders.networks.staged import Staged
from lab.errors import ConfigError
from lab.training.exportable import Exportable
from supervised.detection.boxes import Found, boxes_of, found, generalised_loss, targets
from supervised.detection.inked import inked
from supervised.detection.pictures import drawn, marked, named
from supervised.detection.precision import average_precision, fit, sure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

RARE = 0.1  # share of cells that are centres at first, by the bias of the heat (Lin et al. 2017, section 4.1)
LEAST = 0.05  # score of a box that counts
SHOWN = 8  # images of a picture

# Dimensions: B images, C classes, h w sides of the encoder's map.


class Detector(Exportable):
    """Finds things in images: the shared encoder's map, and two convolutions each to a heat map of centres for every
    class, and to the distances from there to the four sides.

    Args:
        encoder: the trunk, whose map keeps places: Conv, ResNet or another in stages.
        width: channels between the map and its two results.
        box_weight: weight of the boxes' loss beside the heat's.
    """

    family = "supervised"
    results = ("heat_logits", "boxes")
    descriptions = {
        "test/ap50": "mean over the classes of the average precision, where a box counts if it has half of its union "
        "in common with a true one (AP50)",
        "test/mean_iou": "mean intersection over union of sure boxes and the true ones that they match",
        "pictures/boxes": "test images with true boxes, green, and those found with a score of 0.3 or more, red",
    }

    def __init__(
        self, spec: DataSpec, *, encoder: EncoderFactory, width: PositiveInt = 64, box_weight: PositiveFloat = 1.0
    ) -> None:
        super().__init__(spec)
        if not isinstance(spec.target, Boxes):
            raise ConfigError("Detector needs boxes as targets, as lab.data.Scenes has with data.targets=boxes")
        image = spec.require_one_input("Detector")
        _, height, _ = image.require_image("Detector")
        self.classes, self.box_weight = spec.target.n, box_weight
        self.names = spec.target.names or [str(i) for i in range(self.classes)]
        self.encoder = build_encoder(encoder, image)
        with torch.no_grad():
            example = self.encoder.eval().features(torch.zeros(1, *image.shape))
        self.encoder.train()
        if example.ndim != 4 or height % example.shape[2]:
            raise ConfigError(
                "Detector needs an encoder that gives a map whose cells have whole pixels, such as ResNet"
            )
        self.pixels, channels = height // example.shape[2], example.shape[1]
        self.heat = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, self.classes, 1)
        )
        self.distances = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 4, 1))
        nn.init.constant_(self.heat[-1].bias, torch.logit(torch.tensor(RARE)).item())  # type: ignore[arg-type]
        self.found: list[Found] = []
        self.things: list[Tensor] = []

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of the heat `(B, C, h, w)`, and boxes in pixels `(B, 4, h, w)`."""
        maps = self.encoder.features(x)
        return self.heat(maps), boxes_of(F.softplus(self.distances(maps)), self.pixels)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, things = batch
        logits, boxes = self(x)
        wanted = targets(things, self.classes, (logits.shape[2], logits.shape[3]), self.pixels)
        count = wanted.centres.sum().clamp(min=1)
        heat = focal(logits, wanted.heat) / count
        places = wanted.centres
        box = generalised_loss(boxes.permute(0, 2, 3, 1)[places], wanted.boxes.permute(0, 2, 3, 1)[places])
        box = box.sum() / count
        return {"loss": heat + self.box_weight * box, "heat_loss": heat.detach(), "box_loss": box.detach()}

    def find(self, x: Tensor) -> list[Found]:
        """Return what is in each of the images `(B, channels, H, W)`, best first."""
        logits, boxes = self(x)
        return found(logits.sigmoid(), boxes, LEAST)

    @property
    def any_size(self) -> bool:
        """Whether images may have any size: the encoder's map is made by convolutions."""
        return isinstance(self.encoder, Staged)

    def predict(self, inputs: Tensor) -> list[Prediction]:
        """Return what is found in images `(B, channels, H, W)` in [0, 1] with a score of 0.3 or more, best first: its
        class, its score, and the sides of its box in pixels; and the image with these boxes."""
        with self.at_rest(seed=0):
            guesses = self.find(inputs.to(self.device))
        return [
            Prediction(things=list(named(one, self.names, image)), picture=marked(image, one, self.names))
            for one, image in zip(map(sure, guesses), inputs, strict=True)
        ]

    def on_test_epoch_start(self) -> None:
        super().on_test_epoch_start()
        self.found, self.things = [], []

    def test_step(self, batch: Batch, batch_index: int) -> None:
        super().test_step(batch, batch_index)
        x, things = batch
        self.found += self.find(x)
        self.things += list(things)

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        self.log_dict({f"test/{name}": value for name, value in self._figures(self.found, self.things).items()})

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """A box around all ink that hangs together, of the most frequent class."""
        kinds = torch.cat([things[..., 4].flatten() for _, things in training_batches(data, self.device, seed=0)])
        most = int(kinds[kinds >= 0].long().bincount().argmax())
        guesses, true = list[Found](), list[Tensor]()
        for x, things in testing_batches(data, self.device):
            guesses += inked(x, most)
            true += list(things)
        return {
            "ink that hangs together": {f"test/{name}": value for name, value in self._figures(guesses, true).items()}
        }

    def pictures(self, batch: Batch) -> dict[str, Image]:
        x, things = (part[:SHOWN] for part in batch)
        return {"boxes": drawn(x, things, self.find(x), self.names)}

    def _figures(self, guesses: list[Found], things: list[Tensor]) -> dict[str, float]:
        _, height, width = self.spec.require_one_input("Detector").require_image("Detector")
        return {"ap50": average_precision(guesses, things, (height, width)), "mean_iou": fit(guesses, things)}


def focal(logits: Tensor, heat: Tensor) -> Tensor:
    """Return the sum over all cells of the penalty-reduced focal loss, for logits and wanted heat `(B, C, h, w)`
    (CornerNet, Law & Deng 2018, equation 1, with alpha 2 and beta 4)."""
    probability = logits.sigmoid()
    centre = heat == 1
    at_centres = F.logsigmoid(logits) * (1 - probability).square()
    elsewhere = F.logsigmoid(-logits) * probability.square() * (1 - heat).pow(4)
    return -torch.where(centre, at_centres, elsewhere).sum()
