"""Generative adversarial networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from generative.gan.gan import GAN
    from generative.gan.srgan import SRGAN

__all__ = ["GAN", "SRGAN"]

__getattr__, __dir__ = lazily(__name__, {"GAN": "generative.gan.gan", "SRGAN": "generative.gan.srgan"})
