"""A VAE whose prior is a mixture of its own posteriors (VampPrior, Tomczak & Welling 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from generative.vae.gaussians import log_mixture, log_normal
from generative.vae.vae import VAE
from lab.config.types import PositiveFloat, PositiveInt
from lab.data.base import DataModule
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.nn.decoders import DecoderFactory


class VampVAE(VAE):
    """p(z) is the mean of q(z|u) over images u that are learned as well: the pseudo-inputs.

    Args:
        encoder, decoder, latent_dim, beta, nll_samples, fid_samples: as for the VAE.
        pseudo_inputs: number of learned images.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        decoder: DecoderFactory | None = None,
        latent_dim: PositiveInt = 50,
        pseudo_inputs: PositiveInt = 500,
        beta: PositiveFloat = 1.0,
        nll_samples: PositiveInt = 500,
        fid_samples: PositiveInt | None = None,
    ) -> None:
        super().__init__(
            spec,
            encoder=encoder,
            decoder=decoder,
            latent_dim=latent_dim,
            beta=beta,
            nll_samples=nll_samples,
            fid_samples=fid_samples,
        )
        shape = spec.require_one_input("VampVAE").shape
        self.pseudo_inputs = nn.Parameter(torch.zeros(pseudo_inputs, *shape))  # logits of pixels

    def adapt(self, data: DataModule) -> None:
        """Begin with training images, a little greyer, so that the logits are finite."""
        count, images = len(self.pseudo_inputs), []
        for x, _ in data.unchanged(torch.device("cpu")):
            images.append(x)
            if sum(map(len, images)) >= count:
                break
        taken = torch.cat(images)[:count]
        repeated = taken.repeat(-(-count // len(taken)), 1, 1, 1)[:count]
        self.pseudo_inputs.data.copy_(torch.logit(0.05 + 0.9 * repeated))

    def log_prior(self, z: Tensor) -> Tensor:
        return log_mixture(z, *self(self.pseudo_inputs.sigmoid()))

    def divergence(self, mean: Tensor, log_variance: Tensor, z: Tensor) -> Tensor:
        """The divergence has no closed form here: it is estimated by the one sample z."""
        return log_normal(z, mean, log_variance) - self.log_prior(z)

    def from_prior(self, count: int) -> Tensor:
        chosen = torch.randint(len(self.pseudo_inputs), (count,), device=self.device)
        mean, log_variance = self(self.pseudo_inputs[chosen].sigmoid())
        return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)  # type: ignore[no-any-return]
