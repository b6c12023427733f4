"""The autoencoder: a narrow code from which an image is drawn again (Hinton & Salakhutdinov 2006)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from generative.autoencoders.figures import CodeFigures, descriptions, noisy
from generative.autoencoders.pca import PCA
from lab.config.roles import Roles
from lab.config.types import PositiveFloat, PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import plain_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.nn.decoders import DecoderFactory
from lab.training import Model
from lab.training.captions import paired
from lab.training.pictures import grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

# Dimensions: B images, Z numbers of a code, C H W of an image.

CodeActivation = Literal["linear", "sigmoid", "tanh"]
ACTIVATIONS = {"linear": nn.Identity, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


class Autoencoder(Model):
    """An encoder, a code, and a decoder, trained on the squared error of the pixels.

    Subclasses add a penalty, or show the encoder another image than the one to be drawn. Principal components of the
    same width stand beside all figures.

    Args:
        encoder: the trunk under the code.
        decoder: from a code to logits of pixels; null for the mirror of the encoder.
        latent_dim: numbers of a code.
        activation: of the code.
        test_noise: standard deviation of the noise on the test images of `test/psnr_from_noisy`.
    """

    family = "generative"
    roles = Roles(protocol=("test_noise",))

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        decoder: DecoderFactory | None = None,
        latent_dim: PositiveInt = 16,
        activation: CodeActivation = "linear",
        test_noise: PositiveFloat = 0.5,
    ) -> None:
        super().__init__(spec)
        image = spec.require_one_input(type(self).__name__)
        image.require_image(type(self).__name__)
        self.latent_dim, self.activation, self.test_noise = latent_dim, activation, test_noise
        self.encoder = build_encoder(encoder, image)
        self.code = nn.Sequential(nn.Linear(self.encoder.features_dim, latent_dim), ACTIVATIONS[activation]())
        self.decoder = decoder(image, latent_dim) if decoder else self.encoder.mirror(latent_dim)
        self.measured: CodeFigures | None = None

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        return {
            "test/error": "squared error of an image, summed over its pixels",
            "test/penalty": "what is added to it in training",
            "pictures/reconstructions": "test images, and below each what the decoder makes of its code",
            "pictures/noisy": "noisy test images, and below each what the decoder makes of its code",
            "pictures/interpolations": "decoded from points on the line between the codes of two test images, in each "
            "row",
            **descriptions(self.test_noise),
        }

    def encode(self, x: Tensor) -> Tensor:
        """Return codes `(B, Z)` of images `(B, C, H, W)` in [0, 1]."""
        return self.code(self.encoder(x))  # type: ignore[no-any-return]

    def decode(self, code: Tensor) -> Tensor:
        """Return images `(B, C, H, W)` in [0, 1] for codes `(B, Z)`."""
        return self.decoder(code).sigmoid()  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstruction of images, of the same shape."""
        return self.decode(self.encode(x))

    def shown(self, x: Tensor) -> Tensor:
        """Return what the encoder sees of images in training, of the same shape."""
        return x

    def given(self, code: Tensor) -> Tensor:
        """Return what the decoder is given of codes in training, of the same shape."""
        return code

    def penalty(self, x: Tensor, code: Tensor) -> Tensor:
        """Return what is added to the loss, a scalar, given what the encoder saw and the code that it made of it."""
        return torch.zeros((), device=x.device)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        images, _ = batch
        x = self.shown(images)
        code = self.encode(x)
        error = (self.decode(self.given(code)) - images).square().flatten(1).sum(1).mean()
        penalty = self.penalty(x, code)
        return {"loss": error + penalty, "error": error.detach(), "penalty": penalty.detach()}

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        self.measured = CodeFigures(data, device, noise=self.test_noise, limit=1 if fast_dev_run else None)

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        if self.measured:
            self.log_dict({f"test/{name}": value for name, value in self.measured.of(self.encode, self.decode).items()})

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """Principal components of the same width, fitted to the training images."""
        if self.measured is None:
            self.prepare_test(data, self.device)
        assert self.measured
        pca = PCA((x for x, _ in plain_batches(data, self.device, seed=0)), self.latent_dim)
        figures = self.measured.of(pca.encode, pca.decode)
        return {f"{self.latent_dim} principal components": {f"test/{name}": one for name, one in figures.items()}}

    def reconstruct(self, images: Tensor) -> Tensor:
        return self(images)  # type: ignore[no-any-return]

    def latents_of(self, images: Tensor) -> Tensor:
        return self.encode(images)

    def images_of(self, latents: Tensor) -> Tensor:
        return self.decode(latents)

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Reconstructions of images and of noisy ones, and walks between the codes of two images."""
        images, _ = batch
        x = images[:32]
        worse = noisy(x, self.test_noise)
        codes = self.encode(x[: min(20, len(x) // 2 * 2)])[:, None]  # (2 R, 1, Z)
        weights = torch.linspace(0, 1, 11, device=self.device).view(1, 11, 1)
        walk = codes[::2] * (1 - weights) + codes[1::2] * weights  # (R, 11, Z)
        return {
            "reconstructions": paired(x, self(x), ("image", "reconstruction"), 16),
            "noisy": paired(worse, self(worse), ("noisy image", "reconstruction"), 16),
            "interpolations": grid(self.decode(walk.flatten(0, 1)), columns=11),
        }
