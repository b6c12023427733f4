"""The contractive autoencoder: a code that hardly moves when the image does (Rifai et al. 2011)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from generative.autoencoders.autoencoder import Autoencoder, CodeActivation
from generative.autoencoders.penalties import estimated_jacobian, layer_jacobian
from lab.config.types import PositiveFloat, PositiveInt
from lab.data.spec import DataSpec
from lab.encoders import MLP
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from lab.nn.decoders import DecoderFactory


class ContractiveAutoencoder(Autoencoder):
    """The squared Frobenius norm of the Jacobian of the code, by the image, is added to the loss (equation 5).

    It is exact where the code is one layer on the pixels, which the encoder `MLP` with no `hidden` layer makes, and
    estimated where there is a network below.

    Args:
        encoder, decoder, latent_dim, activation, test_noise: as for the Autoencoder.
        weight: of the penalty, beside the squared error summed over the pixels.
        probes: random vectors for each image by which the norm is estimated.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        decoder: DecoderFactory | None = None,
        latent_dim: PositiveInt = 16,
        activation: CodeActivation = "sigmoid",
        weight: PositiveFloat = 1.0,
        probes: PositiveInt = 1,
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
        self.weight, self.probes = weight, probes
        if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in self.encoder.modules()):
            raise ConfigError("ContractiveAutoencoder needs an encoder without batch norm, which mixes its images")

    def penalty(self, x: Tensor, code: Tensor) -> Tensor:
        return self.weight * self.jacobian(x, code).mean()

    def jacobian(self, x: Tensor, code: Tensor) -> Tensor:
        """Return the squared norm of the Jacobian at each image, `(B,)`."""
        if not (isinstance(self.encoder, MLP) and not self.encoder.hidden):
            return estimated_jacobian(self.encode, x, self.probes)
        slopes = {"linear": torch.ones_like(code), "sigmoid": code * (1 - code), "tanh": 1 - code.square()}
        layer = self.code[0]
        assert isinstance(layer, nn.Linear)
        return layer_jacobian(layer.weight, slopes[self.activation])
