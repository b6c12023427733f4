"""What models that turn noise into images have in common: a U-Net that is told time and class, and guidance."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from generative.judges.generator import ImageGenerator
from lab.config.roles import Roles
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.nn.conditions import TimeAndClass
from lab.nn.unet import UNetFactory
from lab.training.captions import named_rows
from lab.training.pictures import grid

if TYPE_CHECKING:
    from PIL.Image import Image

# Dimensions: B images, C H W of an image. Images are in [-1, 1] here, as the papers have it.

CONDITION = 64  # numbers that tell the U-Net time and class
TOGETHER = 100  # images that are made at a time: more do not fit the cache of a CPU
STRENGTHS = (0.0, 0.5, 1.0, 2.0, 4.0)  # of guidance, in a picture
STAGES = 11  # of the sampler, in a picture


class Guided(ImageGenerator):
    """A model whose samples become images in `steps` steps, guided to their class without a classifier (Ho & Salimans
    2022). A subclass has `losses` and `path`.

    Args:
        network: the U-Net; an image is given and returned.
        dropped: probability with which an image's class is not told in training.
        steps: of the sampler.
        guidance: strength w of the guidance: 0 for none.
        fid_samples: see `ImageGenerator`.
    """

    conditional = True
    averaged = ("network", "conditions")
    roles = Roles(protocol=("steps", "guidance"))

    def __init__(
        self,
        spec: DataSpec,
        *,
        network: UNetFactory,
        dropped: float,
        steps: int,
        guidance: float,
        fid_samples: int | None,
    ) -> None:
        super().__init__(spec, fid_samples)
        who = type(self).__name__
        self.shape = spec.require_one_input(who).require_image(who)
        self.conditions = TimeAndClass(spec.require_classes(who), CONDITION)
        self.count_classes(self.conditions.none)
        self.network = network(self.shape[0], self.shape[0], CONDITION)
        self.dropped, self.steps, self.guidance = dropped, steps, guidance
        self.descriptions = {
            "pictures/samples": "one class for each row",
            "pictures/steps": f"from noise to image in {steps} steps, one sample for each row",
            "pictures/guidance": "one strength of the guidance for each row, from the same noise; 0 is none",
            **self.judged,
        }

    def forward(self, x: Tensor, time: Tensor, labels: Tensor) -> Tensor:
        """Return what the network makes of `x`, `(B, C, H, W)`, at times `(B,)` in [0, 1], for classes `(B,)`."""
        return self.network(x, self.conditions(time, labels))  # type: ignore[no-any-return]

    def guided(self, x: Tensor, time: Tensor, labels: Tensor, strength: float) -> Tensor:
        """Return (1 + w) of the network's result with the class, minus w of that without (equation 6)."""
        if not strength:
            return self(x, time, labels)  # type: ignore[no-any-return]
        none = torch.full_like(labels, self.conditions.none)
        told, untold = self(torch.cat([x, x]), torch.cat([time, time]), torch.cat([labels, none])).chunk(2)
        return (1 + strength) * told - strength * untold  # type: ignore[no-any-return]

    @abstractmethod
    def path(self, noise: Tensor, labels: Tensor, strength: float) -> Iterator[Tensor]:
        """Yield noise `(B, C, H, W)`, what each step of the sampler makes of it, and at last images in [-1, 1]."""

    def forgetful(self, labels: Tensor) -> Tensor:
        """Return the classes `(B,)`, some of which are replaced by none."""
        return labels.masked_fill(torch.rand(labels.shape, device=labels.device) < self.dropped, self.conditions.none)

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        if labels is None:
            labels = self.usual_classes(count)
        noise = torch.randn(count, *self.shape, device=self.device)
        return torch.cat(
            [
                self._last(*parts)
                for parts in zip(torch.split(noise, TOGETHER), torch.split(labels, TOGETHER), strict=True)
            ]
        )

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        super().prepare_test(data, device, fast_dev_run=fast_dev_run)
        if fast_dev_run:
            self.steps = min(self.steps, 2)

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Samples, the way of ten of them through the sampler, and others at several strengths of the guidance."""
        labels = torch.arange(10, device=self.device) % self.conditions.none
        noise = torch.randn(10, *self.shape, device=self.device)
        states = list(self.path(noise, labels, self.guidance))
        shown = torch.linspace(0, len(states) - 1, STAGES).round().long().tolist()
        stages = torch.stack([states[at] for at in shown], 1).flatten(0, 1)  # (10 STAGES, C, H, W)
        rows = torch.cat([self._last(noise, labels, strength) for strength in STRENGTHS])
        return super().pictures(batch) | {
            "steps": grid(as_image(stages), columns=STAGES),
            "guidance": named_rows(rows, [f"{strength:g}" for strength in STRENGTHS], len(noise)),
        }

    def _last(self, noise: Tensor, labels: Tensor, strength: float | None = None) -> Tensor:
        """Return the images `(B, C, H, W)` in [0, 1] in which the path ends."""
        *_, x = self.path(noise, labels, self.guidance if strength is None else strength)
        return as_image(x)


def as_image(x: Tensor) -> Tensor:
    """Return what is in [-1, 1], and may lie outside, as an image in [0, 1]."""
    return (x / 2 + 0.5).clamp(0, 1)


def evenly(count: int, device: torch.device) -> Tensor:
    """Return `count` random times in [0, 1), spread evenly: each is uniform, and together they leave no gap (Kingma et
    al. 2021, appendix I.1)."""
    spread = torch.arange(count, device=device) / count + torch.rand(1, device=device)
    return spread % 1
