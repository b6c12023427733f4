"""Generative adversarial networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from generative.gan.gan import GAN
    from generative.gan.parts import Hole, Outlines
    from generative.gan.pix2pix import Pix2Pix
    from generative.gan.srgan import SRGAN

__all__ = ["GAN", "SRGAN", "Hole", "Outlines", "Pix2Pix"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "GAN": "generative.gan.gan",
        "Hole": "generative.gan.parts",
        "Outlines": "generative.gan.parts",
        "Pix2Pix": "generative.gan.pix2pix",
        "SRGAN": "generative.gan.srgan",
    },
)
