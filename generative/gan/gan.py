"""The generative adversarial network (Goodfellow et al. 2014) with convolutions (DCGAN, Radford et al. 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from generative.gan.losses import discriminator_loss, generator_loss
from generative.judges.generator import ImageGenerator
from lab.config.types import PositiveInt
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.nn.decoders import DecoderFactory
from lab.training.optimization import ParameterGroup
from lab.training.pictures import grid

if TYPE_CHECKING:
    from PIL.Image import Image

# Dimensions: B images, Z noise, C H W of an image. D is `score`, G is the model itself.


class GAN(ImageGenerator):
    """Non-saturating GAN: the discriminator is the shared encoder with one linear layer, the generator its mirror.

    `trainer.ema` averages the generator only (Yazici et al. 2019); the exported encoder is the trained discriminator's.

    Args:
        encoder: the discriminator's trunk.
        generator: from noise to logits of pixels; null for the encoder's mirror with batch norm.
        latent_dim: length of the noise vector, drawn from N(0, 1).
        spectral: spectral norm on all layers of the discriminator (Miyato et al. 2018); the exported encoder is plain.
        fid_samples: generated images behind `test/classifier_fid`, at most as many as there are test images; null to
            leave the judge out.
    """

    averaged = ("generator",)

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        generator: DecoderFactory | None = None,
        latent_dim: PositiveInt = 64,
        spectral: bool = True,
        fid_samples: PositiveInt | None = 10_000,
    ) -> None:
        super().__init__(spec, fid_samples)
        self.automatic_optimization = False
        self.latent_dim = latent_dim
        image = spec.require_one_input("GAN")
        self.encoder = build_encoder(encoder, image)
        self.head = nn.Linear(self.encoder.features_dim, 1)
        self.generator = generator(image, latent_dim) if generator else self.encoder.mirror(latent_dim, batch_norm=True)
        if spectral:
            for module in [*self.encoder.modules(), self.head]:
                if isinstance(module, nn.Conv2d | nn.Linear):
                    spectral_norm(module)
        self.descriptions = {
            "val/loss": "the discriminator's loss on validation images and as many samples: lower means that it tells "
            "them apart better, not that the samples are better",
            "val/generator_loss": "the generator's loss on the same samples: lower means that the discriminator takes "
            "them for real",
            "pictures/samples": "generated from noise vectors that are the same in every picture of a run",
            "pictures/interpolations": "generated from points on the line between two noise vectors, in each row",
            **self.judged,
        }

    def forward(self, z: Tensor) -> Tensor:
        """Return images `(B, C, H, W)` in [0, 1] for noise `(B, Z)`."""
        return torch.sigmoid(self.generator(z))

    def score(self, x: Tensor) -> Tensor:
        """Return the discriminator's logits `(B, 1)`: positive for real."""
        return self.head(self.encoder(x))  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return both losses for fresh noise. The training step computes the same ones, each with its own gradients."""
        x, _ = batch
        real, fake = self.score(x), self.score(self(self._noise(len(x))))
        return {"loss": discriminator_loss(real, fake), "generator_loss": generator_loss(fake)}

    def training_step(self, batch: Batch, batch_index: int) -> Any:
        for_generator, for_discriminator = self.optimizers()  # type: ignore[attr-defined]  # as in parameter_groups
        x, _ = batch
        fake = self(self._noise(len(x)))  # G(z), (B, C, H, W)

        real_score, fake_score = self.score(x), self.score(fake.detach())
        loss = discriminator_loss(real_score, fake_score)
        self.require_finite({"discriminator_loss": loss})
        self._step(for_discriminator, loss)

        loss_generator = generator_loss(self.score(fake))
        self.require_finite({"generator_loss": loss_generator})
        self._step(for_generator, loss_generator)
        for schedule in self.lr_schedulers():  # type: ignore[union-attr]
            schedule.step()

        return {
            "discriminator_loss": loss.detach(),
            "generator_loss": loss_generator.detach(),
            "score_real": real_score.detach().sigmoid().mean(),
            "score_fake": fake_score.detach().sigmoid().mean(),
        }

    def parameter_groups(self) -> list[ParameterGroup]:
        discriminator = [p for p in (*self.encoder.parameters(), *self.head.parameters()) if p.requires_grad]
        return [
            ParameterGroup(self.generator.parameters(), optimizer="generator"),
            ParameterGroup(discriminator, optimizer="discriminator"),
        ]

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        return self(self._noise(count))  # type: ignore[no-any-return]

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """The losses of two players say nothing about the samples: the judge does."""

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Samples, and straight walks between two noise vectors, one per row."""
        drawn = super().pictures(batch)
        ends = self._noise(20).view(2, 10, 1, self.latent_dim)
        weights = torch.linspace(0, 1, 11, device=self.device).view(1, 11, 1)
        walk = ends[0] * (1 - weights) + ends[1] * weights  # (10, 11, Z)
        return drawn | {"interpolations": grid(self(walk.flatten(0, 1)), columns=11)}

    def _noise(self, count: int) -> Tensor:
        return torch.randn(count, self.latent_dim, device=self.device)

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        """Make one step of one optimizer. No gradients of the other network's parameters are computed."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        optimizer.zero_grad()
        self.manual_backward(loss + self.optimization.penalty(parameters), inputs=parameters)
        self.configure_gradient_clipping(optimizer)
        optimizer.step()
