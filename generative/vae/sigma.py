"""A VAE with Gaussian pixels whose deviation is learned (Rybkin, Daniilidis & Levine 2021), and what its code tells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative.judges.disentanglement import principal_components
from generative.judges.generator import ImageGenerator
from generative.judges.ridge import fit_ridge, probed
from generative.vae.gaussians import kl_to_standard_normal
from lab.config.types import PositiveFloat, PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import plain_batches, testing_batches, training_batches
from lab.data.spec import DataSpec, Values
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.nn.decoders import DecoderFactory
from lab.training.captions import named_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from PIL.Image import Image

# Dimensions: B images, Z latents, C H W of an image, V values behind it.

LEAST = 1 / (12 * 255**2)  # variance of what rounding to bytes leaves out
KEPT = 0.9  # of the old variance at each step, for evaluation
SHOWN, WALK = 16, 11  # images in a row


class SigmaVAE(ImageGenerator):
    """Gaussian latents and Gaussian pixels, all of one deviation: it balances reconstruction and code by itself.

    For grey values that are no probabilities, such as frames of an environment. In training the variance is the one
    that is best for the batch, its mean squared error (equation 5); evaluation has an average of these.

    Where the data have named values, such as the angle of a pole, a linear probe says how much of them the code tells.

    Args:
        encoder: the trunk under the posterior's mean and log-variance.
        decoder: from latents to what differs from the mean image; null for the mirror of the encoder.
        latent_dim: number of latent variables.
        beta: weight of the KL term; 1 is the ELBO.
    """

    variance: Tensor
    ground: Tensor
    spread: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        decoder: DecoderFactory | None = None,
        latent_dim: PositiveInt = 16,
        beta: PositiveFloat = 1.0,
    ) -> None:
        super().__init__(spec, None)
        image = spec.require_one_input("SigmaVAE")
        image.require_image("SigmaVAE")
        self.latent_dim, self.beta = latent_dim, beta
        self.encoder = build_encoder(encoder, image)
        self.posterior = nn.Linear(self.encoder.features_dim, 2 * latent_dim)
        self.decoder = decoder(image, latent_dim) if decoder else self.encoder.mirror(latent_dim)
        self.register_buffer("variance", torch.tensor(1.0))
        self.register_buffer("ground", torch.zeros(image.shape))
        self.register_buffer("spread", torch.tensor(1.0))

    @property
    def input_preparation(self) -> str | None:
        return "less the mean image, in units of the deviation from it"

    def adapt(self, data: DataModule) -> None:
        """Take the mean training image, and the standard deviation of all pixels from it. Encoder and decoder see what
        differs from the mean image, in this unit: most of a frame never changes."""
        super().adapt(data)
        images = torch.cat([x for x, _ in training_batches(data, self.ground.device, seed=0)])
        self.ground.copy_(images.mean(0))
        self.spread.copy_((images - self.ground).square().mean().sqrt().clamp(min=math.sqrt(LEAST)))

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        return {
            "test/loss": "negative ELBO in nats of the grey values in [0, 1] as real numbers, with beta times the "
            "divergence, by one sample per image",
            **{
                f"test/{name}_r2": f"share of the variance of {name} in the test images that ridge regression from the "
                "mean of the posterior explains, fitted to the training images"
                for name in self.values
            },
            "pictures/samples": "decoded latents that were drawn from the prior",
            "pictures/reconstructions": "images, and below each what the decoder makes of the mean of its posterior",
            "pictures/walks": "for each value behind the images a row, in which it goes from its least to its greatest "
            "while the others stay at their mean: decoded is the code that fits these values best",
        }

    @property
    def values(self) -> tuple[str, ...]:
        """Names of the values behind the images; none where there are none, or not one row of them."""
        target = self.spec.target
        return target.names if isinstance(target, Values) and len(target.shape) == 1 else ()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the posterior, `(B, Z)` each, for `x` `(B, C, H, W)` in [0, 1]."""
        mean, log_variance = self.posterior(self.encoder((x - self.ground) / self.spread)).chunk(2, dim=1)
        return mean, log_variance

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, _ = batch
        mean, log_variance = self(x)
        made = self.decode(mean + (0.5 * log_variance).exp() * torch.randn_like(mean))
        error = F.mse_loss(made, x)
        variance = error.clamp(min=LEAST) if self.training else self.variance
        if self.training:
            self.variance.lerp_(variance.detach(), 1 - KEPT)
        reconstruction = x[0].numel() * gaussian_nll(error, variance)
        divergence = kl_to_standard_normal(mean, log_variance).mean()
        return {
            "loss": reconstruction + self.beta * divergence,
            "reconstruction": reconstruction.detach(),
            "kl": divergence.detach(),
            "error": error.detach(),
        }

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        super().prepare_test(data, device, fast_dev_run=fast_dev_run)
        self.codes, self.behind = list[Tensor](), list[Tensor]()
        if self.values:
            with self.at_rest(0):
                known = [(self.latents_of(x), y) for x, y in training_batches(data, device, seed=0)]
            self.known = torch.cat([code for code, _ in known]), torch.cat([y for _, y in known])

    def test_step(self, batch: Batch, batch_index: int) -> None:
        super().test_step(batch, batch_index)
        if self.values:
            x, y = batch
            self.codes.append(self.latents_of(x))
            self.behind.append(y)

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        if self.values:
            self.log_dict(probed(self.known, (torch.cat(self.codes), torch.cat(self.behind)), self.values))

    @torch.no_grad()
    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The same probe on principal components of the same number, and on pixels: all of them, and means over 2x2 and
        4x4 of them."""
        if not self.values:
            return super().baselines(data)
        (known, told), (asked, behind) = (
            [torch.cat(parts) for parts in zip(*batches, strict=True)]
            for batches in (plain_batches(data, self.device, seed=0), testing_batches(data, self.device))
        )
        exact = known.cpu().double()
        codes = principal_components(exact, torch.cat([exact, asked.cpu().double()]), self.latent_dim)
        found = {f"{self.latent_dim} principal components": (codes[: len(known)], codes[len(known) :])}
        for side in (4, 2, 1):
            height, across = (-(-edge // side) for edge in known.shape[2:])
            one, other = (F.adaptive_avg_pool2d(x, (height, across)).flatten(1) for x in (known, asked))
            found[f"pixels, {height}x{across}"] = one, other
        return {name: probed((one, told), (other, behind), self.values) for name, (one, other) in found.items()}

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        """None: the encoder sees what differs from the mean image, and elsewhere it would see images."""
        return {}

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        """Return images decoded from N(0, 1): the means of their pixels."""
        return self.images_of(torch.randn(count, self.latent_dim, device=self.device))

    def decode(self, z: Tensor) -> Tensor:
        """Return the means of the pixels, `(B, C, H, W)`, for latents `(B, Z)`."""
        return self.ground + self.spread * self.decoder(z)  # type: ignore[no-any-return]

    def latents_of(self, images: Tensor) -> Tensor:
        """Return the means of the posteriors, `(B, Z)`, of images `(B, C, H, W)` in [0, 1]."""
        return self(images)[0]  # type: ignore[no-any-return]

    def images_of(self, latents: Tensor) -> Tensor:
        """Return images `(B, C, H, W)` in [0, 1] for latents `(B, Z)`: the means of their pixels, cut off there."""
        return self.decode(latents).clamp(0, 1)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return what the decoder makes of the means of the posteriors, as the images `(B, C, H, W)` in [0, 1]."""
        return self.images_of(self.latents_of(images))

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Samples, reconstructions, and walks along the values behind the images."""
        images, behind = batch
        columns = min(SHOWN, len(images))
        x = images[: min(2 * SHOWN, len(images) // columns * columns)]
        pairs = torch.stack([part.view(-1, columns, *x.shape[1:]) for part in (x, self.reconstruct(x))], 1)
        drawn = super().pictures(batch)
        drawn["reconstructions"] = named_rows(pairs.flatten(0, 2), ("image", "reconstruction"), columns)
        if self.values:
            drawn["walks"] = named_rows(self.walks(images, behind), self.values, WALK)
        return drawn

    def walks(self, images: Tensor, behind: Tensor) -> Tensor:
        """Return `(V * WALK, C, H, W)`: for each of the values `(B, V)` behind the images, decoded codes on the line
        along which it grows. The codes are fitted to the values, not the other way round."""
        codes = fit_ridge(behind, self.latents_of(images))
        low, high = behind.aminmax(dim=0)
        asked = behind.mean(0).repeat(behind.shape[1], WALK, 1)  # (V, WALK, V)
        for row in range(len(asked)):
            asked[row, :, row] = torch.linspace(float(low[row]), float(high[row]), WALK)
        return self.images_of(codes(asked.flatten(0, 1)).float().to(self.device))


def gaussian_nll(error: Tensor, variance: Tensor) -> Tensor:
    """Return -log N in nats of a number whose squared error is `error` on average, under a Gaussian of `variance`."""
    return 0.5 * (math.log(2 * math.pi) + variance.log() + error / variance)
