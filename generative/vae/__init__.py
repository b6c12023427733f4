"""Variational autoencoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from generative.vae.conditional import ConditionalVAE
    from generative.vae.hierarchical import HierarchicalVAE
    from generative.vae.importance import IWAE
    from generative.vae.sigma import SigmaVAE
    from generative.vae.vae import VAE
    from generative.vae.vamp import VampVAE

__all__ = ["IWAE", "VAE", "ConditionalVAE", "HierarchicalVAE", "SigmaVAE", "VampVAE"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "ConditionalVAE": "generative.vae.conditional",
        "HierarchicalVAE": "generative.vae.hierarchical",
        "IWAE": "generative.vae.importance",
        "SigmaVAE": "generative.vae.sigma",
        "VAE": "generative.vae.vae",
        "VampVAE": "generative.vae.vamp",
    },
)
