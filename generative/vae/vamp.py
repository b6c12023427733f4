"""A VAE whose prior is a mixture of its own posteriors (VampPrior, Tomczak & Welling 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from generative.vae.beginning import Initial
from generative.vae.gaussians import log_mixture, log_normal
from generative.vae.vae import VAE
from lab.config.types import PositiveFloat, PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import training_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.nn.decoders import DecoderFactory
from lab.training.pictures import grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

SHOWN = 100  # learned images that are drawn


class VampVAE(VAE):
    """p(z) is the mean of q(z|u) over images u that are learned as well: the pseudo-inputs.

    Args:
        encoder, decoder, latent_dim, beta, initial, nll_samples, fid_samples: as for the VAE.
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
        initial: Initial = "default",
        nll_samples: PositiveInt = 500,
        fid_samples: PositiveInt | None = None,
    ) -> None:
        super().__init__(
            spec,
            encoder=encoder,
            decoder=decoder,
            latent_dim=latent_dim,
            beta=beta,
            initial=initial,
            nll_samples=nll_samples,
            fid_samples=fid_samples,
        )
        shape = spec.require_one_input("VampVAE").shape
        self.pseudo_inputs = nn.Parameter(torch.zeros(pseudo_inputs, *shape))  # logits of pixels

    def adapt(self, data: DataModule) -> None:
        """Begin with random training images, a little greyer, so that the logits are finite."""
        super().adapt(data)
        count, images = len(self.pseudo_inputs), list[Tensor]()
        for x, _ in training_batches(data, self.device, seed=0):
            images += x
            if len(images) >= count:
                break
        repeated = [images[i % len(images)] for i in range(count)]
        self.pseudo_inputs.data.copy_(torch.logit(0.05 + 0.9 * torch.stack(repeated)))

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        return {**super().descriptions, "pictures/pseudo_inputs": "the first of the learned images behind the prior"}

    def log_prior(self, z: Tensor) -> Tensor:
        return log_mixture(z, *self(self.pseudo_inputs.sigmoid()))

    def divergence(self, mean: Tensor, log_variance: Tensor, z: Tensor) -> Tensor:
        """The divergence has no closed form here: it is estimated by the one sample z."""
        return log_normal(z, mean, log_variance) - self.log_prior(z)

    def from_prior(self, count: int) -> Tensor:
        chosen = torch.randint(len(self.pseudo_inputs), (count,), device=self.device)
        mean, log_variance = self(self.pseudo_inputs[chosen].sigmoid())
        return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)  # type: ignore[no-any-return]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        return super().pictures(batch) | {"pseudo_inputs": grid(self.pseudo_inputs[:SHOWN].sigmoid(), columns=10)}
