"""A VAE that is told the class of each image (Sohn et al. 2015)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from generative.vae.vae import VAE


class ConditionalVAE(VAE):
    """The posterior is q(z|x, y) and the likelihood p(x|z, y); z is left with what the class y does not say.

    Settings are those of the VAE.
    """

    conditional = True

    def conditions(self) -> int:
        return self.spec.require_classes("ConditionalVAE")

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.posterior(self._joined(self.encoder(x), labels)).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.decoder(self._joined(z, labels))  # type: ignore[no-any-return]

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        if labels is None:
            labels = torch.randint(self.conditions(), (count,), device=self.device)
        return super().generate(count, labels)

    def _joined(self, features: Tensor, labels: Tensor | None) -> Tensor:
        assert labels is not None
        return torch.cat([features, F.one_hot(labels, self.conditions()).to(features)], dim=1)
