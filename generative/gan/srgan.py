"""Super-resolution by an adversarial loss (Ledig et al. 2017, 'Photo-realistic single image super-resolution using a
generative adversarial network')."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from generative.gan.beside import BesideTheGame
from generative.gan.losses import Game
from generative.gan.upscaling import Upscale, bicubic, nearest_pixel
from lab.config.roles import Roles
from lab.config.types import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt
from lab.data.batch import Batch
from lab.data.spec import DataSpec, InputSpec
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from lab.nn.superresolution import SuperResolution, shrunk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image


class SRGAN(BesideTheGame):
    """Enlarges images whose pixels are means over squares of the pixels of real ones.

    Args:
        encoder: the discriminator's trunk.
        factor: by which height and width are divided, and multiplied again; a power of 2.
        filters: of the maps in the network.
        blocks: residual blocks.
        beginning: share of the steps before the game begins.
        loss: of both players, as for GAN.
        adversarial: weight of the generator's loss in the game, beside its squared error (equation 3).
        generator_rate: its learning rate in the game divided by that of the squared error alone.
        discriminator_rate: the discriminator's, divided by the same.
        conditional: whether the discriminator sees what was given too, beside each image (Mirza & Osindero 2014): a
            sharp image of something else is then found out.
        judged: whether the judge of generators looks at what was enlarged.
    """

    roles = Roles(added={"conditional": False})

    alone_is = "squared error alone"

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        factor: PositiveInt = 4,
        filters: PositiveInt = 32,
        blocks: PositiveInt = 4,
        beginning: Fraction = 0.5,
        loss: Game = "non-saturating",
        adversarial: NonNegativeFloat = 1e-3,
        generator_rate: PositiveFloat = 1.0,
        discriminator_rate: PositiveFloat = 1.0,
        conditional: bool = False,
        judged: bool = True,
    ) -> None:
        image = spec.require_one_input("SRGAN")
        channels, height, width = image.require_image("SRGAN")
        if height % factor or width % factor:
            raise ConfigError(f"model.factor must divide the images' {height} x {width} pixels, received {factor}")
        super().__init__(
            spec,
            network=SuperResolution(channels, factor=factor, filters=filters, blocks=blocks),
            encoder=encoder,
            seen=InputSpec((2 * channels, height, width)) if conditional else image,
            beginning=beginning,
            loss=loss,
            adversarial=adversarial,
            generator_rate=generator_rate,
            discriminator_rate=discriminator_rate,
            judged=judged,
        )
        self.factor, self.conditional = factor, conditional
        self.descriptions = {
            **self.descriptions,
            "pictures/enlarged": "test images: shrunk, enlarged by cubic curves, by the network that was trained by "
            "the squared error alone, and by the generator; the original below",
        }

    def given(self, x: Tensor, numbers: torch.Generator | None = None) -> Tensor:
        return shrunk(x, self.factor)

    def score(self, x: Tensor, given: Tensor) -> Tensor:
        return super().score(torch.cat([x, self.shown(given)], 1) if self.conditional else x, given)

    def error(self, made: Tensor, x: Tensor) -> Tensor:
        return F.mse_loss(made, x)

    def ways(self) -> Mapping[str, Upscale]:
        return {"bicubic": bicubic(self.factor), "nearest pixel": nearest_pixel(self.factor)}

    def shown(self, given: Tensor) -> Tensor:
        return nearest_pixel(self.factor)(given)

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """The same images, shrunk and enlarged in several ways."""
        return {"enlarged": self.compared(batch)}
