"""The sparse autoencoder: most numbers of a code are near 0 (Lee et al. 2008; Ng 2011)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from generative.autoencoders.autoencoder import Autoencoder, CodeActivation
from generative.autoencoders.penalties import sparsity_kl, sparsity_l1
from lab.config.types import PositiveFloat, PositiveInt, Probability
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from lab.nn.decoders import DecoderFactory

Sparsity = Literal["kl", "l1"]


class SparseAutoencoder(Autoencoder):
    """An autoencoder whose units are penalised for being on.

    Args:
        encoder, decoder, latent_dim, activation, test_noise: as for the Autoencoder.
        sparsity: `kl` wants each unit to be on for `share` of the images, and needs the activation sigmoid; `l1` is the
            sum of absolute values.
        share: of the images for which a unit is to be on, for `kl`.
        weight: of the penalty, beside the squared error summed over the pixels.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        decoder: DecoderFactory | None = None,
        latent_dim: PositiveInt = 16,
        activation: CodeActivation = "sigmoid",
        sparsity: Sparsity = "kl",
        share: Probability = 0.1,
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
        if sparsity == "kl" and (activation != "sigmoid" or not share):
            raise ConfigError(
                f"sparsity kl needs the activation sigmoid and a share above 0, received {activation} and {share:g}"
            )
        self.sparsity, self.share, self.weight = sparsity, share, weight

    def penalty(self, x: Tensor, code: Tensor) -> Tensor:
        return self.weight * (sparsity_kl(code, self.share) if self.sparsity == "kl" else sparsity_l1(code))
