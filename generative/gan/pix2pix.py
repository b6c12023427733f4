"""Images from images by an adversarial loss (Isola et al. 2017, 'Image-to-image translation with conditional
adversarial networks')."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative.gan.beside import BesideTheGame
from generative.gan.drawn import Draw
from generative.gan.losses import Game
from generative.gan.parts import Part
from lab.config.types import Fraction, NonNegativeFloat, PositiveFloat
from lab.data.batch import Batch
from lab.data.spec import DataSpec, InputSpec
from lab.encoders.base import EncoderFactory
from lab.nn.unet import UNet, UNetFactory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image


class Pix2Pix(BesideTheGame):
    """Draws an image from a part of it, such as its outlines, by a U-Net.

    The discriminator sees the part and the image, and scores each patch of them (section 3.2.2). The error of the
    pixels is absolute (equation 3). Unlike the paper's, the generator draws no random numbers: its own were ignored
    (section 3.1).

    Args:
        encoder: the discriminator's trunk, whose last map has a place for each patch.
        part: what is given of an image: `Outlines` or `Hole`.
        network: the U-Net.
        beginning: share of the steps before the game begins.
        loss: of both players, as for GAN.
        adversarial: weight of the generator's loss in the game, beside its absolute error. The paper's is 0.01, as it
            multiplies the error by 100.
        generator_rate: its learning rate in the game divided by that of the absolute error alone.
        discriminator_rate: the discriminator's, divided by the same.
        judged: whether the judge of generators looks at what was drawn.
    """

    alone_is = "absolute error alone"

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        part: Part,
        network: UNetFactory = UNet,
        beginning: Fraction = 0.5,
        loss: Game = "non-saturating",
        adversarial: NonNegativeFloat = 0.01,
        generator_rate: PositiveFloat = 1.0,
        discriminator_rate: PositiveFloat = 1.0,
        judged: bool = True,
    ) -> None:
        channels, height, width = spec.require_one_input("Pix2Pix").require_image("Pix2Pix")
        part.require_fitting((channels, height, width))
        seen = channels + part.channels(channels)
        super().__init__(
            spec,
            network=network(part.channels(channels), channels, 0),
            encoder=encoder,
            seen=InputSpec((seen, height, width)),
            beginning=beginning,
            loss=loss,
            adversarial=adversarial,
            generator_rate=generator_rate,
            discriminator_rate=discriminator_rate,
            judged=judged,
        )
        self.part = part
        with torch.no_grad():
            patches = self.encoder.features(torch.zeros(2, seen, height, width)).shape[1]
        self.head = nn.Conv2d(patches, 1, 1)
        self.descriptions = {
            **self.descriptions,
            "pictures/drawn": "test images: what is given of them, and what was drawn from that in several ways; the "
            "original below",
        }

    def given(self, x: Tensor, numbers: torch.Generator | None = None) -> Tensor:
        return self.part(x, numbers)

    def error(self, made: Tensor, x: Tensor) -> Tensor:
        return F.l1_loss(made, x)

    def ways(self) -> Mapping[str, Draw]:
        return self.part.simple()

    def shown(self, given: Tensor) -> Tensor:
        return self.part.shown(given)

    def completed(self, made: Tensor, given: Tensor) -> Tensor:
        return self.part.completed(made, given)

    def score(self, x: Tensor, given: Tensor) -> Tensor:
        """Return the discriminator's scores of each patch of images and of what is given, `(B, 1, h, w)`."""
        return self.head(self.encoder.features(torch.cat([given, x], 1)))  # type: ignore[no-any-return]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """The same images, drawn in several ways."""
        return {"drawn": self.compared(batch)}
