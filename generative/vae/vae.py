"""The variational autoencoder (Kingma & Welling 2014; Rezende et al. 2014) on binarised images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative.judges.generator import ImageGenerator
from lab.config.roles import Roles
from lab.config.types import PositiveFloat, PositiveInt
from lab.console.wording import count
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches, training_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.nn.decoders import DecoderFactory
from lab.training.captions import named_rows
from lab.training.pictures import grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

# Dimensions: K importance samples, B images, Z latents, C H W of an image.


class VAE(ImageGenerator):
    """Gaussian latents, Bernoulli pixels, one sample of the reparametrised ELBO per image and step.

    Images are binarised dynamically: each pixel is drawn anew, with its grey value as probability, whenever it is
    used (Salakhutdinov & Murray 2008; Burda et al. 2016).

    Args:
        encoder: the trunk under the posterior's mean and log-variance.
        decoder: from latents to logits; null for the mirror of the encoder.
        latent_dim: number of latent variables.
        beta: weight of the KL term (Higgins et al. 2017); 1 is the ELBO.
        nll_samples: importance samples per test image; 5000 is the protocol of Burda et al.
        fid_samples: samples that are judged beside test images, at most as many as there are; null for no judge.
    """

    roles = Roles(samples=("nll_samples",), added={"fid_samples": None})

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        decoder: DecoderFactory | None = None,
        latent_dim: PositiveInt = 50,
        beta: PositiveFloat = 1.0,
        nll_samples: PositiveInt = 500,
        fid_samples: PositiveInt | None = None,
    ) -> None:
        super().__init__(spec, fid_samples)
        self.latent_dim, self.beta, self.nll_samples = latent_dim, beta, nll_samples
        image = spec.require_one_input("VAE")
        self.encoder = build_encoder(encoder, image)
        self.posterior = nn.Linear(self.encoder.features_dim, 2 * latent_dim)
        self.decoder = decoder(image, latent_dim) if decoder else self.encoder.mirror(latent_dim)

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        return {
            "test/nll": "negative log-likelihood in nats of the dynamically binarised test images, by importance "
            f"sampling with {count(self.nll_samples, 'sample')} per image: an upper bound in expectation, tighter with "
            "more",
            "test/loss": "negative ELBO in nats on the same images, by one sample per image",
            "pictures/samples": "decoded latents that were drawn from the prior; pixels are probabilities",
            "pictures/reconstructions": "binarised images, and below each what the decoder makes of the mean of its "
            "posterior",
            "pictures/traversals": "one latent for each row, from -3 to 3, where the others are those of one image",
            **self.judged,
        }

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the posterior, `(B, Z)` each, for `x` `(B, C, H, W)` in {0, 1}."""
        mean, log_variance = self.posterior(self.encoder(x)).chunk(2, dim=1)
        return mean, log_variance

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, _ = batch
        x = torch.bernoulli(x)
        mean, log_variance = self(x)
        logits = self.decoder(mean + (0.5 * log_variance).exp() * torch.randn_like(mean))
        reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        divergence = kl_to_standard_normal(mean, log_variance).mean()
        return {
            "loss": reconstruction + self.beta * divergence,
            "reconstruction": reconstruction.detach(),
            "kl": divergence.detach(),
        }

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        super().prepare_test(data, device, fast_dev_run=fast_dev_run)
        if fast_dev_run:
            self.nll_samples = min(self.nll_samples, 5)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        super().test_step(batch, batch_index)
        x, _ = batch
        nll = self.negative_log_likelihood(torch.bernoulli(x))
        self.log("test/nll", nll.mean(), batch_size=batch.weight)

    def negative_log_likelihood(self, x: Tensor, chunk: int = 5_000) -> Tensor:
        """Estimate -log p(x) in nats, `(B,)`, for `x` `(B, C, H, W)` in {0, 1} (Burda et al. 2016, equation 8).

        `chunk` is the number of images decoded at a time.
        """
        mean, log_variance = self(x)
        log_weights = []
        per_chunk = max(1, chunk // len(x))
        for start in range(0, self.nll_samples, per_chunk):
            drawn = min(per_chunk, self.nll_samples - start)  # K
            noise = torch.randn(drawn, *mean.shape, device=mean.device)
            z = mean + (0.5 * log_variance).exp() * noise  # (K, B, Z)
            logits = self.decoder(z.flatten(0, 1)).unflatten(0, (drawn, len(x)))  # (K, B, C, H, W)
            # Bernoulli: x * logit - softplus(logit). The first sum over pixels is a matrix product.
            fit = torch.einsum("kbp,bp->kb", logits.flatten(2), x.flatten(1)) - F.softplus(logits).flatten(2).sum(2)
            # log p(z) - log q(z|x); the constants of the two Gaussians cancel.
            gap = 0.5 * (noise.square() + log_variance - z.square()).sum(2)
            log_weights.append(fit + gap)
        return math.log(self.nll_samples) - torch.cat(log_weights).logsumexp(0)

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The likelihood under independent pixels, each with the probability that is its mean over the training
        images."""
        train, test = training_batches(data, self.device, seed=0), testing_batches(data, self.device)
        # A grey image is added so that no probability is 0 or 1. The mean over binarisations is exact.
        half = torch.full((1, *data.spec.require_one_input("VAE").shape), 0.5, device=self.device)
        images = [half, *(x for x, _ in train)]
        mean = sum(x.sum(0) for x in images) / sum(len(x) for x in images)
        nll = [F.binary_cross_entropy(mean.expand_as(x), x, reduction="none").flatten(1).sum(1) for x, _ in test]
        return {"independent pixels": {"test/nll": torch.cat(nll).mean().item()}, **super().baselines(data)}

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        """Return images decoded from N(0, 1), with each pixel's probability as its grey value."""
        return self.decoder(torch.randn(count, self.latent_dim, device=self.device)).sigmoid()  # type: ignore[no-any-return]

    def reconstruct(self, images: Tensor) -> Tensor:
        return self.images_of(self.latents_of(images))

    def latents_of(self, images: Tensor) -> Tensor:
        """Return the means of the posteriors, `(B, Z)`, of images that need not be binary."""
        return self(images)[0]  # type: ignore[no-any-return]

    def images_of(self, latents: Tensor) -> Tensor:
        return self.decoder(latents).sigmoid()  # type: ignore[no-any-return]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Samples, reconstructions (original above its reconstruction) and a traversal of the busiest latents."""
        images, _ = batch
        columns = min(16, len(images))
        x = torch.bernoulli(images[: min(32, len(images) // columns * columns)])
        mean, _ = self(x)
        pairs = torch.stack([part.view(-1, columns, *x.shape[1:]) for part in (x, self.decoder(mean).sigmoid())], 1)
        return super().pictures(batch) | {
            "reconstructions": named_rows(pairs.flatten(0, 2), ("image", "reconstruction"), columns),
            "traversals": grid(self._traverse(images), columns=11),
        }

    def _traverse(self, images: Tensor, rows: int = 10, columns: int = 11) -> Tensor:
        """Return a row of images for each latent whose posterior mean varies most. The latent goes from -3 to 3, and
        the others stay as they are."""
        mean, _ = self(torch.bernoulli(images))
        busiest = mean.var(0).argsort(descending=True)[:rows]
        z = mean[0].repeat(len(busiest), columns, 1)
        for row, latent in enumerate(busiest):
            z[row, :, latent] = torch.linspace(-3, 3, columns, device=z.device)
        return self.decoder(z.flatten(0, 1)).sigmoid()  # type: ignore[no-any-return]


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence in nats of a diagonal Gaussian from N(0, 1), `(B,)` (Kingma & Welling 2014, appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)
