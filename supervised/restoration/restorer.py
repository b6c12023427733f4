"""Restoration of images by regression: the squared or absolute error of the pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.capabilities import Prediction
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches
from lab.data.spec import DataSpec
from lab.training.captions import named_rows
from lab.training.exportable import Exportable
from lab.training.pictures import pictures
from supervised.restoration.damage import Damage, Restore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from PIL.Image import Image

Error = Literal["squared", "absolute"]
SHOWN = 20  # images of a picture
SMALLEST = 1e-10  # squared error

# Dimensions: B images, C H W of an image.


class Restorer(Exportable):
    """Learns to undo what is done to the images of a data set.

    Training images are damaged anew at each use, test images once, by numbers that are the same for all models.

    Args:
        network: from damaged images to images; it may leave [0, 1].
        damage: what is done to the images.
        loss: `squared` error is least for the mean of all that is possible, `absolute` error for the median.
    """

    family = "supervised"
    results = ("restored",)
    any_size: ClassVar[bool] = True
    descriptions = {
        "test/psnr": "peak signal-to-noise ratio in dB of a restored test image, mean over all of them",
        "pictures/restored": "test images: damaged, restored in a simple way and by the network; the original below",
    }

    def __init__(
        self,
        spec: DataSpec,
        *,
        network: nn.Module,
        damage: Damage,
        loss: Error = "squared",
    ) -> None:
        super().__init__(spec)
        shape = spec.require_one_input("Restorer").require_image("Restorer")
        damage.require_fitting(shape)
        self.damage, self.error = damage, F.mse_loss if loss == "squared" else F.l1_loss
        self.network = network

    def forward(self, damaged: Tensor) -> Tensor:
        """Return images `(B, C, H, W)` in [0, 1] for damaged ones."""
        return self.network(damaged).clamp(0, 1)  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, _ = batch
        return {"loss": self.error(self.network(self.damage(x)), x)}

    def measure(self, batch: Batch, metrics: Mapping[str, object]) -> dict[str, Tensor]:
        x, _ = batch
        return {**self.losses(batch), "psnr": signal(self(self.damage(x)), x).mean()}

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """All test images are damaged by the same numbers as those of the baselines."""

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        self.tested = data

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        self.log("test/psnr", self._psnr(self.tested, self))

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """Simple ways to undo the same damage."""
        return {name: {"test/psnr": self._psnr(data, way)} for name, way in self.damage.simple().items()}

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return what the network makes of images `(B, C, H, W)` in [0, 1] once they are damaged."""
        with self.at_rest(seed=0):
            return self(self.damage(images))  # type: ignore[no-any-return]

    def predict(self, inputs: Tensor) -> list[Prediction]:
        """Return what the network makes of damaged images `(B, C, H, W)` in [0, 1], of any size, as pictures."""
        with self.at_rest(seed=0):
            return [Prediction(picture=one) for one in pictures(self(inputs.to(self.device)))]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """The same images four times."""
        x, _ = batch
        x = x[:SHOWN]
        damaged = self.damage(x)
        (name, way), *_ = self.damage.simple().items()
        rows = {"damaged": self.damage.shown(damaged), name: way(damaged), "restored": self(damaged), "original": x}
        return {"restored": named_rows(torch.cat(list(rows.values())), list(rows), len(x))}

    @torch.no_grad()
    def _psnr(self, data: DataModule, way: Restore) -> float:
        batches: Iterable[Batch] = testing_batches(data, self.device)
        numbers = torch.Generator(self.device).manual_seed(0)
        return torch.cat([signal(way(self.damage(x, numbers)), x) for x, _ in batches]).mean().item()


def signal(made: Tensor, x: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio in dB of each image `(B,)`, for pixels in [0, 1]."""
    error = (made - x).square().flatten(1).mean(1).clamp(min=SMALLEST)
    return -10 / math.log(10) * error.log()
