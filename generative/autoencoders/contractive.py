"""The contractive autoencoder: a code that hardly moves when the image does (Rifai et al. 2011)."""

from __future__ import annotations

from torch import Tensor, nn

from generative.autoencoders.autoencoder import Autoencoder, CodeActivation
from generative.autoencoders.penalties import estimated_jacobian
from lab.config.types import PositiveFloat, PositiveInt
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from lab.nn.decoders import DecoderFactory


class ContractiveAutoencoder(Autoencoder):
    """The squared Frobenius norm of the Jacobian of the code, by the image, is added to the loss (equation 5).

    The paper has one layer between image and code, where the norm has a closed form, and a decoder with the same
    weights, so that the code cannot escape by shrinking. Here the norm is estimated for any network, of the code as the
    decoder feels it.

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
        activation: CodeActivation = "linear",
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

    def felt(self, code: Tensor) -> Tensor:
        """Return codes `(B, Z)` as the decoder feels them: each number times the norm of the weights that it meets.

        A penalty on this cannot be escaped by a code that shrinks while these weights grow.
        """
        first = next(part for part in self.decoder.modules() if isinstance(part, nn.Linear))
        norms: Tensor = first.weight.norm(dim=0)
        return code * norms

    def penalty(self, x: Tensor, code: Tensor) -> Tensor:
        return self.weight * estimated_jacobian(lambda x: self.felt(self.encode(x)), x, self.probes).mean()
