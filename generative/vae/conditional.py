"""A VAE that is told the class of each image (Sohn et al. 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from generative.vae.beginning import Initial
from generative.vae.gaussians import kl_to_standard_normal, log_bernoulli
from generative.vae.vae import VAE
from lab.config.types import PositiveFloat, PositiveInt
from lab.data.base import DataModule
from lab.data.loader import plain_batches, testing_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.nn.decoders import DecoderFactory

if TYPE_CHECKING:
    from collections.abc import Mapping

# Dimensions: B images, Y classes, Z latents.


class ConditionalVAE(VAE):
    """The posterior is q(z|x, y) and the likelihood p(x|z, y); z is left with what the class y does not say.

    Settings are those of the VAE.
    """

    conditional = True

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
        super().__init__(
            spec,
            encoder=encoder,
            decoder=decoder,
            latent_dim=latent_dim,
            beta=beta,
            initial=initial,
            nll_samples=nll_samples,
            fid_samples=fid_samples,
        )
        self.count_classes(self.conditions())

    def conditions(self) -> int:
        return self.spec.require_classes("ConditionalVAE")

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        found = super().descriptions
        return {
            **found,
            "test/nll": f"{found['test/nll']}; given their classes",
            "pictures/reconstructions": "binarised images, and below each what the decoder makes of the mean of its "
            "posterior and of the class that fits it best",
        }

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.posterior(self._joined(self.encoder(x), labels)).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.decoder(self._joined(z, labels))  # type: ignore[no-any-return]

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        if labels is None:
            labels = self.usual_classes(count)
        return super().generate(count, labels)

    def latents_of(self, images: Tensor) -> Tensor:
        """Return means of posteriors, and beside them the class that fits best as a unit vector, `(B, Z + Y)`."""
        labels = self.classes_of(images)
        return self._joined(self(images, labels)[0], labels)

    def classes_of(self, images: Tensor) -> Tensor:
        """Return the class, `(B,)`, under which the model codes an image in the fewest nats, at the mean of the
        posterior."""
        nats = []
        for label in range(self.conditions()):
            labels = torch.full((len(images),), label, device=images.device)
            mean, log_variance = self(images, labels)
            fit = log_bernoulli(self.decode(mean, labels)[None], images)[0]
            nats.append(kl_to_standard_normal(mean, log_variance) - fit)
        return torch.stack(nats).argmin(0)

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """Those of the VAE, and the likelihood under independent pixels that have their means over a class."""
        sums = torch.full((self.conditions(), *data.spec.require_one_input("VAE").shape), 0.5, device=self.device)
        counts = torch.ones(self.conditions(), device=self.device)  # with a grey image for each class
        for x, y in plain_batches(data, self.device, seed=0):
            sums.index_add_(0, y, x)
            counts += y.bincount(minlength=len(counts))
        mean = sums / counts.view(-1, 1, 1, 1)
        tested = testing_batches(data, self.device)
        nll = [F.binary_cross_entropy(mean[y], x, reduction="none").flatten(1).sum(1) for x, y in tested]
        figures = {"test/nll": torch.cat(nll).mean().item()}
        return {"independent pixels of each class": figures, **super().baselines(data)}

    def _joined(self, features: Tensor, labels: Tensor | None) -> Tensor:
        assert labels is not None
        return torch.cat([features, F.one_hot(labels, self.conditions()).to(features)], dim=1)
