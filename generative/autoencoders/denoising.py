"""The denoising autoencoder (Vincent et al. 2008, 2010)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from generative.autoencoders.autoencoder import Autoencoder, CodeActivation
from generative.autoencoders.figures import noisy
from lab.config.types import PositiveFloat, PositiveInt
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.nn.decoders import DecoderFactory


class DenoisingAutoencoder(Autoencoder):
    """The encoder sees an image with noise on its pixels; the image itself is to be drawn (Vincent et al. 2010,
    section 3.1).

    Args:
        encoder, decoder, latent_dim, activation, test_noise: as for the Autoencoder.
        noise: standard deviation of the noise on training images.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        decoder: DecoderFactory | None = None,
        latent_dim: PositiveInt = 16,
        activation: CodeActivation = "linear",
        noise: PositiveFloat = 0.5,
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
        self.noise = noise

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        error = f"squared error of an image drawn by its noisy version, with a deviation of {self.noise:g}"
        return {**super().descriptions, "test/error": f"{error}, summed over its pixels"}

    def shown(self, x: Tensor) -> Tensor:
        return noisy(x, self.noise)
