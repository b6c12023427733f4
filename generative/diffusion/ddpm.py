"""Denoising diffusion (Ho et al. 2020) with the cosine schedule, sampled by DDIM and guided without a classifier."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from generative.diffusion.bound import first_gap, gap, last_gap
from generative.diffusion.guided import Guided, evenly
from generative.diffusion.schedule import CosineSchedule
from generative.judges.bits import independent_bits
from lab.config.roles import Roles
from lab.config.types import NonNegativeFloat, PositiveInt, Probability
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.errors import ConfigError
from lab.nn.unet import UNetFactory

# Dimensions: B images, C H W of an image; level t from 1 (almost the image) to T (noise).


class DDPM(Guided):
    """A network learns to tell the noise in an image, at any level of it; from noise alone, it makes an image.

    Args:
        network: the U-Net, which is told the level and the class.
        prediction: what the network returns: `epsilon`, the noise (Ho et al. 2020), or `v`, a mixture of noise and
            image that is as hard at all levels (Salimans & Ho 2022).
        levels: of noise.
        dropped: probability with which an image's class is not told in training.
        steps: of the sampler, DDIM (Song et al. 2021) without randomness.
        guidance: strength of the guidance to the class (Ho & Salimans 2022); 0 for none.
        bound_samples: levels that the bound of a test image is estimated at, beside the first and the last.
        fid_samples: samples that are judged beside test images, at most as many as there are; null for no judge.

    Raises ConfigError where there are more steps than levels.
    """

    roles = Roles(protocol=("bound_samples",))

    def __init__(
        self,
        spec: DataSpec,
        *,
        network: UNetFactory,
        prediction: Literal["epsilon", "v"] = "v",
        levels: PositiveInt = 1_000,
        dropped: Probability = 0.1,
        steps: PositiveInt = 20,
        guidance: NonNegativeFloat = 0.5,
        bound_samples: PositiveInt = 2,
        fid_samples: PositiveInt | None = 10_000,
    ) -> None:
        if steps > levels:
            raise ConfigError(f"model.steps must be at most model.levels, {levels}, received {steps}")
        super().__init__(
            spec, network=network, dropped=dropped, steps=steps, guidance=guidance, fid_samples=fid_samples
        )
        self.prediction, self.bound_samples = prediction, bound_samples
        self.schedule = CosineSchedule(levels)
        self.descriptions = {
            **self.descriptions,
            "test/loss": "squared error of the predicted noise or v, averaged over levels and pixels",
            "test/bits_per_dim": "variational bound on the bits of the grey levels, for each number of an image; the "
            "class of the image is part of what is counted",
        }

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the squared error of the prediction, averaged over levels and pixels (Ho et al., equation 14)."""
        images, labels = batch
        x = 2 * images - 1
        level = (evenly(len(x), x.device) * self.schedule.levels).long() + 1
        noise = torch.randn_like(x)
        target = noise if self.prediction == "epsilon" else self.schedule.velocity(x, noise, level)
        found = self(self.schedule.noised(x, noise, level), level / self.schedule.levels, self.forgetful(labels))
        return {"loss": F.mse_loss(found, target)}

    def denoised(self, noisy: Tensor, level: Tensor, labels: Tensor, strength: float = 0.0) -> Tensor:
        """Return the images in [-1, 1] that noisy ones, `(B, C, H, W)`, are taken for at levels `(B,)`."""
        found = self.guided(noisy, level / self.schedule.levels, labels, strength)
        if self.prediction == "epsilon":
            return self.schedule.image_from_noise(noisy, found, level).clamp(-1, 1)
        return self.schedule.image_from_velocity(noisy, found, level).clamp(-1, 1)

    def path(self, noise: Tensor, labels: Tensor, strength: float) -> Iterator[Tensor]:
        return self.schedule.ddim(noise, self.steps, lambda x, level: self.denoised(x, level, labels, strength))

    def test_step(self, batch: Batch, batch_index: int) -> None:
        super().test_step(batch, batch_index)
        images, labels = batch
        self.log("test/bits_per_dim", self.bits_per_dim(2 * images - 1, labels).mean(), batch_size=batch.weight)

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The bits that independent pixels need, beside what the judge compares with."""
        bits = {"test/bits_per_dim": independent_bits(data, self.device)}
        return {"independent pixels": bits, **super().baselines(data)}

    def bits_per_dim(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return an upper bound on -log2 p(x) for each number of images `(B, C, H, W)` in [-1, 1], `(B,)`.

        It is the variational bound on -log p(x|y), where the class y costs as much again as all are equally likely.
        """
        first = torch.ones_like(labels)
        deviation = self.schedule.noise[1].item()
        total = last_gap(self.schedule, x) + first_gap(x, self._guess(x, first, labels), deviation)
        between = self.schedule.levels - 1
        for _ in range(self.bound_samples):
            level = (evenly(len(x), x.device) * between).long() + 2
            found = gap(self.schedule, x, self._guess(x, level, labels), level)
            total = total + between / self.bound_samples * found
        return (total + math.log(self.conditions.none)) / (x[0].numel() * math.log(2))

    def _guess(self, x: Tensor, level: Tensor, labels: Tensor) -> Tensor:
        """Return what the images are taken for when noise is put on them."""
        return self.denoised(self.schedule.noised(x, torch.randn_like(x), level), level, labels)
