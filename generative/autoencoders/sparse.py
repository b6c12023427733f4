"""The sparse autoencoder: most numbers of a code are near 0 (Olshausen & Field 1996; Ng 2011)."""

from __future__ import annotations

from torch import Tensor

from generative.autoencoders.autoencoder import Autoencoder, CodeActivation
from lab.config.types import PositiveFloat, PositiveInt
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.nn.decoders import DecoderFactory


class SparseAutoencoder(Autoencoder):
    """An autoencoder whose code is penalised by the sum of its absolute values, as the decoder feels them.

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
        return self.weight * self.felt(code).abs().sum(1).mean()
