"""A flow of affine couplings at several resolutions (Dinh et al. 2017), with the layers of Glow (Kingma & Dhariwal
2018)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchmetrics import MaxMetric

from generative.flows.baselines import gaussian_bits
from generative.flows.multiscale import MultiScale
from generative.judges.bits import bits_per_dim, dequantised, independent_bits
from generative.judges.generator import ImageGenerator
from lab.config.roles import Roles
from lab.config.types import PositiveFloat, PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import training_batches
from lab.data.spec import DataSpec
from lab.errors import ConfigError
from lab.system.randomness import own_randomness
from lab.training.captions import named_rows
from lab.training.pictures import grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image
    from torchmetrics import Metric

# Dimensions: B images, C H W of an image, D = C H W.

FIRST = 1_000  # images that the layers are fitted to before training
TEMPERATURES = (0.6, 0.7, 0.8, 0.9, 1.0)  # in a picture


class RealNVP(ImageGenerator):
    """Images are what invertible layers make of N(0, I), so that their density is known exactly.

    Grey levels are spread over the range that they stand for by uniform noise (Theis et al. 2016); the density of what
    comes of it, in bits for each pixel, is an upper bound on the bits that the grey levels themselves need.

    Args:
        levels: resolutions, each with half the sides of the one before.
        steps: couplings at each resolution.
        hidden: channels inside the couplings.
        margin: `a` of logit(a + (1 - 2 a) x), above 0 and below 0.5.
        temperature: deviation of the latents that samples are made of.
        fid_samples: samples that are judged beside test images, at most as many as there are; null for no judge.
    """

    roles = Roles(protocol=("temperature",))
    averaged = ("flow",)

    def __init__(
        self,
        spec: DataSpec,
        *,
        levels: PositiveInt = 2,
        steps: PositiveInt = 8,
        hidden: PositiveInt = 64,
        margin: PositiveFloat = 0.05,
        temperature: PositiveFloat = 1.0,
        fid_samples: PositiveInt | None = 10_000,
    ) -> None:
        super().__init__(spec, fid_samples)
        if margin >= 0.5:
            raise ConfigError(f"model.margin must be below 0.5, received {margin}")
        shape = spec.require_one_input("RealNVP").require_image("RealNVP")
        self.flow = MultiScale(shape, levels=levels, steps=steps, hidden=hidden, margin=margin)
        self.size, self.temperature = math.prod(shape), temperature
        self.descriptions = {
            "test/bits_per_dim": "negative log-density of dequantised test images in bits, for each number of an "
            "image: an upper bound on the bits that the images themselves need",
            "test/inverse_error": "largest difference of a pixel, from 0 to 1, between a test image and what is "
            "made of its latents",
            "pictures/temperatures": "one temperature of the latents for each row, from 0.6 to 1, from the same noise",
            "pictures/interpolations": "between two images at the ends of each row, along an arc of latents: on a "
            "straight line, those in the middle are shorter than any image's, and their images black",
            **self.judged,
        }

    def adapt(self, data: DataModule) -> None:
        super().adapt(data)
        cpu = torch.device("cpu")
        images = list[Tensor]()
        for x, _ in training_batches(data, cpu, 0):
            images.append(x)
            if sum(map(len, images)) >= FIRST:
                break
        with own_randomness(cpu, seed=0):
            self.flow.fit(dequantised(torch.cat(images)[:FIRST]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents `(B, D)` and log-densities in nats, `(B,)`, of dequantised images `(B, C, H, W)`."""
        z, log_det = self.flow(x)
        return z, log_det - 0.5 * z.square().sum(1) - 0.5 * self.size * math.log(2 * math.pi)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        images, _ = batch
        return self._losses(self(dequantised(images))[1])

    def metrics(self) -> dict[str, Metric]:
        return {"inverse_error": MaxMetric()}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        images, _ = batch
        x = dequantised(images)
        z, log_density = self(x)
        metrics["inverse_error"].update((self.flow.inverse(z) - x).abs().max())
        return self._losses(log_density)

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        z = torch.randn(count, self.size, device=self.device)
        return self._images(self.temperature * z)

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The bits that independent pixels, and one Gaussian of the logits, need."""
        needed = {
            "independent pixels": independent_bits(data, self.device),
            "one Gaussian": gaussian_bits(data, self.flow.logit, self.device),
        }
        found = {name: {"test/bits_per_dim": bits} for name, bits in needed.items() if bits is not None}
        return found | dict(super().baselines(data))

    def pictures(self, batch: Batch) -> dict[str, Image]:
        images, _ = batch
        z = torch.randn(10, self.size, device=self.device)
        temperatures = torch.cat([self._images(temperature * z) for temperature in TEMPERATURES])
        ends, _ = self.flow(dequantised(images[:20]))
        half = len(ends) // 2
        walk = arc(ends[:half], ends[half : 2 * half], 11)  # (10, 11, D)
        return super().pictures(batch) | {
            "interpolations": grid(self._images(walk.flatten(0, 1)), columns=11),
            "temperatures": named_rows(temperatures, [f"{one:g}" for one in TEMPERATURES], len(z)),
        }

    def _losses(self, log_density: Tensor) -> dict[str, Tensor]:
        bits = bits_per_dim(log_density, self.size).mean()
        return {"loss": bits, "bits_per_dim": bits.detach()}

    def _images(self, z: Tensor) -> Tensor:
        """Return images in [0, 1]."""
        return self.flow.inverse(z).clamp(0, 1)


def arc(first: Tensor, last: Tensor, count: int) -> Tensor:
    """Return `count` points `(B, count, D)` from `first` to `last`, `(B, D)` each: as long as these where they are at
    right angles, as independent latents nearly are."""
    angles = torch.linspace(0, math.pi / 2, count, device=first.device).view(1, count, 1)
    return first[:, None] * angles.cos() + last[:, None] * angles.sin()
