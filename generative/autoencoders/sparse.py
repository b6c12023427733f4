"""The sparse autoencoder: most numbers of a code are near 0 (Olshausen & Field 1996; Ng 2011)."""

from __future__ import annotations

import torch
from torch import Tensor

from generative.autoencoders.autoencoder import Autoencoder, CodeActivation
from lab.config.types import PositiveFloat, PositiveInt
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.nn.decoders import DecoderFactory


class SparseAutoencoder(Autoencoder):
    """An autoencoder whose code is penalised by the sum of its absolute values.

    In training the decoder is given the code with Gaussian noise of standard deviation 1. A code that shrinks is lost
    in it, so that growing weights of the decoder are no way out. (Olshausen & Field keep their weights at one length
    instead, which binds a single layer alone.)

    Args:
        encoder, decoder, latent_dim, activation, test_noise: as for the Autoencoder.
        weight: of the penalty, beside the squared error summed over the pixels.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        decoder: DecoderFactory | None = None,
        latent_dim: PositiveInt = 16,
        activation: CodeActivation = "linear",
        weight: PositiveFloat = 1.0,
        test_noise: PositiveFloat = 0.5,
    ) -> None:
        super().__init__(
            spec,
            encoder=encoder,
            decoder=decoder,
            latent_dim=latent_dim,
            activation=activation,
            test_noise=test_noise,
        )
        self.weight = weight

    def penalty(self, x: Tensor, code: Tensor) -> Tensor:
        return self.weight * code.abs().sum(1).mean()

    def given(self, code: Tensor) -> Tensor:
        return code + torch.randn_like(code) if self.training else code
