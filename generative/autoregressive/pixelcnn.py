"""The PixelCNN (van den Oord et al. 2016) on binarised images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from generative.autoregressive.gated import GatedPixelCNN
from generative.autoregressive.raster import draw
from generative.judges.generator import ImageGenerator
from generative.judges.pixels import independent_pixels, nearby_pixels
from lab.config.types import PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.errors import ConfigError
from lab.training.captions import named_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

# Dimensions: B images, H W of an image.

COMPLETIONS = 4  # of each image


class PixelCNN(ImageGenerator):
    """Predicts each pixel from those before it, by the gated network. The likelihood is exact.

    Images are binarised dynamically: each pixel is drawn anew, with its grey value as probability, whenever it is
    used (Salakhutdinov & Murray 2008; Burda et al. 2016).

    Args:
        filters: of each layer.
        layers: their number.
        kernel: side of the kernels; odd.
        first_kernel: side of the first layer's kernels; odd.
        dilations: distances of the pixels that neighbouring weights see, of the layers after the first, in turn. More
            than 1 lets a pixel depend on pixels farther away, at the same cost (Yu & Koltun 2016).
        fid_samples: samples that are judged beside test images, at most as many as there are; null for no judge.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        filters: PositiveInt = 16,
        layers: PositiveInt = 7,
        kernel: PositiveInt = 3,
        first_kernel: PositiveInt = 7,
        dilations: Sequence[PositiveInt] = (1,),
        fid_samples: PositiveInt | None = None,
    ) -> None:
        super().__init__(spec, fid_samples)
        channels, self.height, self.width = spec.require_one_input("PixelCNN").require_image("PixelCNN")
        if channels != 1:
            raise ConfigError(f"PixelCNN needs images with one channel, but these have {channels}")
        self.network = GatedPixelCNN(
            filters=filters, layers=layers, kernel=kernel, first_kernel=first_kernel, dilations=dilations
        )

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        return {
            "test/nll": "negative log-likelihood in nats of the dynamically binarised test images: exact, by one "
            "binarisation of each",
            "pictures/samples": "drawn pixel by pixel; grey is the probability that the pixel had when it was drawn",
            "pictures/completions": "binarised images, and below each what the model draws in place of the lower half",
            **self.judged,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Return the logit of each pixel given those before it, `(B, 1, H, W)`, for `x` of the same shape in {0, 1}."""
        return self.network(x)  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, _ = batch
        return {"loss": self.network.nll(torch.bernoulli(x)).mean()}

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """The loss is the likelihood, and has its name."""
        self.log("test/nll", self.losses(batch)["loss"], batch_size=batch.weight)

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        pixels = {**independent_pixels(data, self.device), **nearby_pixels(data, self.device)}
        return {**pixels, **super().baselines(data)}

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        """Return the probabilities of the pixels of binary images that are drawn."""
        start = torch.zeros(count, 1, self.height, self.width, device=self.device)
        return self(draw(self.network, start)).sigmoid()  # type: ignore[no-any-return]

    def completions(self, x: Tensor) -> Tensor:
        """Return binary images with the upper halves of `x` `(B, 1, H, W)`, `(COMPLETIONS, B, 1, H, W)`."""
        drawn = draw(self.network, x.repeat(COMPLETIONS, 1, 1, 1), first_row=self.height // 2)
        return drawn.view(COMPLETIONS, *x.shape)

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Samples, and binarised images with completions of their lower halves."""
        x, _ = batch
        x = torch.bernoulli(x[:16])
        rows = torch.cat([x, self.completions(x).flatten(0, 1)])
        names = ("image", *["completed"] * COMPLETIONS)
        return super().pictures(batch) | {"completions": named_rows(rows, names, len(x))}
