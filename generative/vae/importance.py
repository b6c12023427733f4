"""The importance weighted autoencoder (Burda et al. 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from generative.vae.beginning import Initial
from generative.vae.doubly import PLAIN, DoublyReparametrised
from generative.vae.vae import VAE
from lab.config.types import PositiveInt
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.nn.decoders import DecoderFactory

if TYPE_CHECKING:
    from collections.abc import Mapping

# Dimensions: K importance samples, B images.

Bound = Literal["iwae", "elbo"]


class IWAE(VAE):
    """A VAE that is trained on several samples of each image's posterior.

    Args:
        encoder, decoder, latent_dim, initial, nll_samples, fid_samples: as for the VAE.
        samples: importance samples per image and training step, K.
        bound: `iwae` is the logarithm of the mean of their weights (equation 8), which is tighter with more samples,
            and has doubly reparametrised gradients; `elbo` is the mean of the logarithms, the VAE with K samples of the
            table.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        decoder: DecoderFactory | None = None,
        latent_dim: PositiveInt = 50,
        samples: PositiveInt = 5,
        bound: Bound = "iwae",
        initial: Initial = "default",
        nll_samples: PositiveInt = 500,
        fid_samples: PositiveInt | None = None,
    ) -> None:
        super().__init__(
            spec,
            encoder=encoder,
            decoder=decoder,
            latent_dim=latent_dim,
            initial=initial,
            nll_samples=nll_samples,
            fid_samples=fid_samples,
        )
        self.samples, self.bound = samples, bound

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        return {
            **super().descriptions,
            "test/loss": f"negative {self.bound.upper()} bound in nats on the same images, by {self.samples} samples "
            "per image",
            "test/elbo": "ELBO in nats on the same images, by as many samples",
        }

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, labels = batch
        paths = DoublyReparametrised() if self.bound == "iwae" else PLAIN
        log_weights = self.log_weights(torch.bernoulli(x), self.samples, labels, paths)  # (K, B)
        bound = paths.bound(log_weights) if isinstance(paths, DoublyReparametrised) else log_weights.mean(0)
        return {"loss": -bound.mean(), "elbo": log_weights.detach().mean()}
