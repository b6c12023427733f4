"""Variational autoencoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from generative.vae.vae import VAE

__all__ = ["VAE"]

__getattr__, __dir__ = lazily(__name__, {"VAE": "generative.vae.vae"})
