"""The variational autoencoder (Kingma & Welling 2014; Rezende et al. 2014) on binarised images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative.judges.generator import ImageGenerator
from generative.judges.pixels import independent_pixels
from generative.vae.beginning import Initial, begin_at, glorot, mean_image
from generative.vae.doubly import PLAIN, Paths
from generative.vae.gaussians import (
    kl_to_standard_normal,
    log_bernoulli,
    log_mean_exp,
    log_normal,
    log_standard_normal,
)
from generative.vae.latents import Latents, component_figures
from generative.vae.latents import descriptions as latent_descriptions
from lab.config.roles import Roles
from lab.config.types import PositiveFloat, PositiveInt
from lab.console.wording import count
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import training_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.encoders.pretrained import Pretrained
from lab.nn.decoders import DecoderFactory
from lab.training.captions import paired
from lab.training.pictures import grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

# Dimensions: K importance samples, B images, Z latents, C H W of an image.

CHUNK = 5_000  # images decoded at a time
WALK = 11  # images of a traversal


class VAE(ImageGenerator):
    """Gaussian latents, Bernoulli pixels, one sample of the reparametrised ELBO per image and step.

    Images are binarised dynamically: each pixel is drawn anew, with its grey value as probability, whenever it is
    used (Salakhutdinov & Murray 2008; Burda et al. 2016).

    Args:
        encoder: the trunk under the posterior's mean and log-variance.
        decoder: from latents to logits; null for the mirror of the encoder.
        latent_dim: number of latent variables.
        beta: weight of the KL term (Higgins et al. 2017); 1 is the ELBO.
        initial: `default` weights are PyTorch's; `glorot` ones begin as in Burda et al., and the pixels at their means
            over the training images. A pretrained encoder keeps its own.
        nll_samples: importance samples per test image; 5000 is the protocol of Burda et al.
        fid_samples: samples that are judged beside test images, at most as many as there are; null for no judge.
    """

    roles = Roles(samples=("nll_samples",), added={"fid_samples": None, "initial": "default"})

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        decoder: DecoderFactory | None = None,
        latent_dim: PositiveInt = 50,
        beta: PositiveFloat = 1.0,
        initial: Initial = "default",
        nll_samples: PositiveInt = 500,
        fid_samples: PositiveInt | None = None,
    ) -> None:
        super().__init__(spec, fid_samples)
        self.latent_dim, self.beta, self.nll_samples, self.initial = latent_dim, beta, nll_samples, initial
        image = spec.require_one_input("VAE")
        self.encoder = build_encoder(encoder, image)
        more = self.conditions()
        self.posterior = nn.Linear(self.encoder.features_dim + more, 2 * latent_dim)
        self.decoder = decoder(image, latent_dim + more) if decoder else self.encoder.mirror(latent_dim + more)
        if initial == "glorot":
            glorot(self.posterior, self.decoder, *([] if isinstance(encoder, Pretrained) else [self.encoder]))

    def adapt(self, data: DataModule) -> None:
        super().adapt(data)
        if self.initial == "glorot":
            begin_at(mean_image([x for x, _ in training_batches(data, self.device, seed=0)]), self.decoder)

    def conditions(self) -> int:
        """Return how many numbers about its class join the features and the latents of an image."""
        return 0

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        return {
            "test/nll": "negative log-likelihood in nats of the dynamically binarised test images, in expectation an "
            f"upper bound: by importance sampling with {count(self.nll_samples, 'sample')} per image",
            "test/loss": "negative ELBO in nats on the same images, by one sample per image"
            + ("" if self.beta == 1 else f", with the KL term multiplied by {self.beta:g}"),
            **latent_descriptions(self.latent_dim),
            "pictures/samples": "decoded latents that were drawn from the prior; pixels are probabilities",
            "pictures/reconstructions": "binarised images, and below each what the decoder makes of the mean of its "
            "posterior",
            "pictures/traversals": "one latent for each row, from its least to its greatest mean over some images, "
            "where the others are those of one image",
            **self.judged,
        }

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the posterior, `(B, Z)` each, for `x` `(B, C, H, W)` in {0, 1}.

        Here and below, `labels` `(B,)` are for subclasses that are given the classes of the images.
        """
        mean, log_variance = self.posterior(self.encoder(x)).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the logits of the pixels, `(B, C, H, W)`, for `z` `(B, Z)`."""
        return self.decoder(z)  # type: ignore[no-any-return]

    def log_prior(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats, `(...)` for `(..., Z)`."""
        return log_standard_normal(z)

    def from_prior(self, count: int) -> Tensor:
        """Return latents drawn from p(z), `(count, Z)`."""
        return torch.randn(count, self.latent_dim, device=self.device)

    def divergence(self, mean: Tensor, log_variance: Tensor, z: Tensor) -> Tensor:
        """Return KL(q(z|x) || p(z)) in nats, `(B,)`, given the posterior and one `z` drawn from it."""
        return kl_to_standard_normal(mean, log_variance)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, labels = batch
        x = torch.bernoulli(x)
        mean, log_variance = self(x, labels)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        logits = self.decode(z, labels)
        reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        divergence = self.divergence(mean, log_variance, z).mean()
        return {
            "loss": reconstruction + self.beta * divergence,
            "reconstruction": reconstruction.detach(),
            "kl": divergence.detach(),
        }

    def log_weights(self, x: Tensor, samples: int, labels: Tensor | None = None, paths: Paths = PLAIN) -> Tensor:
        """Return log p(x, z) - log q(z|x) in nats, `(K, B)`, for so many z drawn from the posterior of each image.

        The mean of the weights over K is an unbiased estimate of p(x) (Burda et al. 2016, section 3).
        """
        mean, log_variance = self(x, labels)
        noise = torch.randn(samples, *mean.shape, device=mean.device)
        z = paths.used(mean + (0.5 * log_variance).exp() * noise)  # (K, B, Z)
        repeated = None if labels is None else labels.expand(samples, *labels.shape).flatten(0, 1)
        logits = self.decode(z.flatten(0, 1), repeated).view(samples, *x.shape)  # (K, B, C, H, W)
        return (
            log_bernoulli(logits, x) + self.log_prior(z) - log_normal(z, paths.fixed(mean), paths.fixed(log_variance))
        )

    def negative_log_likelihood(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Estimate -log p(x) in nats, `(B,)`, for `x` `(B, C, H, W)` in {0, 1} (Burda et al. 2016, equation 8)."""
        most = max(1, CHUNK // len(x))
        parts = [min(most, self.nll_samples - start) for start in range(0, self.nll_samples, most)]
        return -log_mean_exp(torch.cat([self.log_weights(x, part, labels) for part in parts]))

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        super().prepare_test(data, device, fast_dev_run=fast_dev_run)
        self.latents = Latents(self.spec, data, device, told=self.conditions() > 0)
        if fast_dev_run:
            self.nll_samples = min(self.nll_samples, 5)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        super().test_step(batch, batch_index)
        x, labels = batch
        x = torch.bernoulli(x)
        self.log("test/nll", self.negative_log_likelihood(x, labels).mean(), batch_size=batch.weight)
        mean, log_variance = self(x, labels)
        self.latents.add(mean, log_variance, mean.new_zeros(len(mean)) if labels is None else labels)

    def on_test_epoch_end(self) -> None:
        figures = self.latents.figures(self)
        self.log_dict({f"test/{name}": value for name, value in figures.items()})
        super().on_test_epoch_end()

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The likelihood under independent pixels, and what as many principal components tell about the images."""
        components = {} if self.conditions() else component_figures(data, self.device, self.latent_dim)
        found = {**independent_pixels(data, self.device), **super().baselines(data)}
        return found | ({f"{self.latent_dim} principal components": components} if components else {})

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        """Return images decoded from the prior, with each pixel's probability as its grey value."""
        return self.decode(self.from_prior(count), labels).sigmoid()

    def latents_of(self, images: Tensor) -> Tensor:
        """Return what `images_of` decodes, `(B, Z)`: the means of the posteriors of images `(B, C, H, W)` in [0, 1]."""
        return self(images)[0]  # type: ignore[no-any-return]

    def images_of(self, latents: Tensor) -> Tensor:
        """Return images `(B, C, H, W)` for what `latents_of` returned; grey values are probabilities."""
        return self.decoder(latents).sigmoid()  # type: ignore[no-any-return]

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return images as they are drawn from `latents_of`, of the same shape."""
        return self.images_of(self.latents_of(images))

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Samples, reconstructions (original above its reconstruction) and a traversal of the busiest latents."""
        images, _ = batch
        x = torch.bernoulli(images[:32])
        latents = self.latents_of(x)
        return super().pictures(batch) | {
            "reconstructions": paired(x, self.images_of(latents), ("image", "reconstruction"), 16),
            "traversals": grid(self.images_of(_traversed(latents)), columns=WALK),
        }


def _traversed(latents: Tensor, rows: int = 10) -> Tensor:
    """Return `(R * WALK, Z)`, a row for each latent that varies most over the images of `(B, Z)`: it goes from its
    least to its greatest value, and the others stay as they are in the first image."""
    busiest = latents.var(0).argsort(descending=True)[:rows]
    z = latents[0].repeat(len(busiest), WALK, 1)  # (R, WALK, Z)
    for row, latent in enumerate(busiest):
        z[row, :, latent] = torch.linspace(*latents[:, latent].aminmax(), WALK, device=z.device)
    return z.flatten(0, 1)
