"""Autoencoders: from an image to a code, and from the code to the image again; codes of numbers, and discrete ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from generative.autoencoders.anomaly import AnomalyVAE
    from generative.autoencoders.autoencoder import Autoencoder
    from generative.autoencoders.contractive import ContractiveAutoencoder
    from generative.autoencoders.denoising import DenoisingAutoencoder
    from generative.autoencoders.prior import CodePrior
    from generative.autoencoders.sparse import SparseAutoencoder
    from generative.autoencoders.vqvae import VQVAE

__all__ = [
    "VQVAE",
    "AnomalyVAE",
    "Autoencoder",
    "CodePrior",
    "ContractiveAutoencoder",
    "DenoisingAutoencoder",
    "SparseAutoencoder",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "AnomalyVAE": "generative.autoencoders.anomaly",
        "Autoencoder": "generative.autoencoders.autoencoder",
        "CodePrior": "generative.autoencoders.prior",
        "ContractiveAutoencoder": "generative.autoencoders.contractive",
        "DenoisingAutoencoder": "generative.autoencoders.denoising",
        "SparseAutoencoder": "generative.autoencoders.sparse",
        "VQVAE": "generative.autoencoders.vqvae",
    },
)
