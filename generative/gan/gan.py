"""The generative adversarial network (Goodfellow et al. 2014) with convolutions (DCGAN, Radford et al. 2015)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from generative.gan.losses import LOSSES, Game
from generative.gan.penalties import gradient_penalty, r1
from generative.gan.players import step
from generative.gan.signs import complaints, diversity, told_apart
from generative.judges.generator import ImageGenerator
from lab.config.roles import Roles
from lab.config.types import NonNegativeFloat, PositiveFloat, PositiveInt
from lab.console.notices import notice
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.nn.decoders import DecoderFactory
from lab.training.optimization import ParameterGroup
from lab.training.pictures import grid

if TYPE_CHECKING:
    from PIL.Image import Image

# Dimensions: B images, Z noise, C H W of an image. D is `score`, G is the model itself.


class GAN(ImageGenerator):
    """The discriminator is the shared encoder with one linear layer, the generator by default its mirror.

    `trainer.ema` averages the generator only (Yazici et al. 2019); the exported encoder is the trained discriminator's.

    Args:
        encoder: the discriminator's trunk.
        generator: from noise to logits of pixels; null for the encoder's mirror with batch norm.
        latent_dim: length of the noise vector, drawn from N(0, 1).
        loss: of both players: `non-saturating`, `minimax`, `least-squares`, `hinge` or `wasserstein`.
        spectral: spectral norm on all layers of the discriminator (Miyato et al. 2018); the exported encoder is plain.
        r1: weight of R1, a penalty on the discriminator's slope at real images.
        gradient_penalty: weight of the penalty that keeps its slope near 1 between real and generated images.
        penalty_every: discriminator steps between two penalties, each of which weighs so much more (Karras et al.
            2020, section 2.2).
        discriminator_steps: steps of the discriminator for each of the generator.
        discriminator_rate: its learning rate divided by the generator's (Heusel et al. 2017).
        conditional: both are told the class of an image: the generator beside the noise (Mirza & Osindero 2014), the
            discriminator by a product with its features (projection, Miyato & Koyama 2018).
        mismatched: real images with the name of another class count as generated, too (Reed et al. 2016, GAN-CLS), so
            that the discriminator learns to look at the class. Only for conditional ones.
        fid_samples: generated images behind `test/classifier_fid`, at most as many as there are test images; null to
            leave the judge out.
    """

    averaged = ("generator",)
    roles = Roles(
        added={
            "loss": "non-saturating",
            "r1": 0.0,
            "gradient_penalty": 0.0,
            "penalty_every": 1,
            "discriminator_steps": 1,
            "discriminator_rate": 1.0,
            "conditional": False,
            "mismatched": False,
        }
    )

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        generator: DecoderFactory | None = None,
        latent_dim: PositiveInt = 64,
        loss: Game = "non-saturating",
        spectral: bool = True,
        r1: NonNegativeFloat = 0.0,
        gradient_penalty: NonNegativeFloat = 0.0,
        penalty_every: PositiveInt = 1,
        discriminator_steps: PositiveInt = 1,
        discriminator_rate: PositiveFloat = 1.0,
        conditional: bool = False,
        mismatched: bool = False,
        fid_samples: PositiveInt | None = 10_000,
    ) -> None:
        super().__init__(spec, fid_samples)
        self.automatic_optimization = False
        self.latent_dim, self.loss, self.game = latent_dim, loss, LOSSES[loss]
        self.r1, self.gradient_penalty, self.penalty_every = r1, gradient_penalty, penalty_every
        self.discriminator_steps, self.discriminator_rate = discriminator_steps, discriminator_rate
        image = spec.require_one_input("GAN")
        self.encoder = build_encoder(encoder, image)
        self.head = nn.Linear(self.encoder.features_dim, 1)
        if mismatched and not conditional:
            raise ConfigError("mismatched: true needs conditional: true, as only then images have classes")
        self.conditional, self.mismatched = conditional, mismatched
        self.classes = spec.require_classes("a conditional GAN") if conditional else 0
        if conditional:
            self.count_classes(self.classes)
            self.projection = nn.Embedding(self.classes, self.encoder.features_dim)
        inputs = latent_dim + self.classes
        self.generator = generator(image, inputs) if generator else self.encoder.mirror(inputs, batch_norm=True)
        if spectral:
            for module in [*self.encoder.modules(), self.head]:
                if isinstance(module, nn.Conv2d | nn.Linear):
                    spectral_norm(module)
            if conditional:
                spectral_norm(self.projection)
        self.signs: list[Tensor] = []
        """Of each step of the running epoch: share of pairs told apart, and diversity."""
        self.said = False
        self.descriptions = {
            "train/told_apart": "share of the pairs of a real and a generated image in which the discriminator scores "
            "the real one higher: 0.5 where it guesses",
            "train/diversity": "standard deviation of the pixels over generated images, divided by that of real ones",
            "val/loss": "the discriminator's loss on validation images and as many samples: lower means that it tells "
            "them apart better, not that the samples are better",
            "val/generator_loss": "the generator's loss on the same samples: lower means that the discriminator takes "
            "them for real",
            "pictures/samples": "generated from noise vectors that are the same in every picture of a run",
            "pictures/interpolations": "generated from points on the line between two noise vectors, in each row",
            **self.judged,
        }

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images `(B, C, H, W)` in [0, 1] for noise `(B, Z)` and, where they count, classes `(B,)`."""
        if self.conditional and labels is not None:
            z = torch.cat([z, F.one_hot(labels, self.classes).to(z)], dim=1)
        return torch.sigmoid(self.generator(z))

    def score(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the discriminator's scores `(B, 1)`: high for real. By the non-saturating loss they are logits."""
        return self._scores(self.encoder(x), labels)

    def _scores(self, features: Tensor, labels: Tensor | None) -> Tensor:
        score: Tensor = self.head(features)
        if self.conditional and labels is not None:
            score = score + (self.projection(labels) * features).sum(1, keepdim=True)
        return score

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return both losses for fresh noise. The training step computes the same ones, each with its own gradients."""
        x, labels = batch
        features, fake = self.encoder(x), self.score(self(self._noise(len(x)), labels), labels)
        negative = torch.cat([fake, *self._mismatched(features, labels)])
        loss = self.game.discriminator(self._scores(features, labels), negative)
        return {"loss": loss, "generator_loss": self.game.generator(fake)}

    def training_step(self, batch: Batch, batch_index: int) -> Any:
        for_generator, for_discriminator = self.optimizers()  # type: ignore[attr-defined]  # as in parameter_groups
        x, labels = batch
        moves = batch_index % self.discriminator_steps == 0  # whether the generator makes a step too
        with torch.set_grad_enabled(moves):
            fake = self(self._noise(len(x)), labels)  # G(z), (B, C, H, W)

        features = self.encoder(x)  # (B, F)
        real_score, fake_score = self._scores(features, labels), self.score(fake.detach(), labels)
        negative = torch.cat([fake_score, *self._mismatched(features, labels)])
        loss = self.game.discriminator(real_score, negative)
        penalty = self._penalty(x, fake.detach(), labels) if batch_index % self.penalty_every == 0 else 0.0
        self.require_finite({"discriminator_loss": loss + penalty})
        step(self, for_discriminator, loss + penalty)
        figures = {"discriminator_loss": loss.detach()}

        if moves:
            loss_generator = self.game.generator(self.score(fake, labels))
            self.require_finite({"generator_loss": loss_generator})
            step(self, for_generator, loss_generator)
            figures["generator_loss"] = loss_generator.detach()
        for schedule in self.lr_schedulers():  # type: ignore[union-attr]
            schedule.step()

        apart, varied = told_apart(real_score.detach(), fake_score.detach()), diversity(fake.detach(), x)
        self.signs.append(torch.stack([apart, varied]))
        return figures | {"told_apart": apart, "diversity": varied}

    def on_train_epoch_end(self) -> None:
        means = torch.stack(self.signs).mean(0).tolist() if self.signs else (0.5, 1.0)
        found = list(complaints(*means, saturates=self.loss != "wasserstein"))
        self.signs = []
        if not self.said:
            for complaint in found:
                notice(complaint)
        self.said = self.said or bool(found)

    def parameter_groups(self) -> list[ParameterGroup]:
        judging = [p for name, p in self.named_parameters() if not name.startswith(("generator.", "judge."))]
        discriminator = [p for p in judging if p.requires_grad]
        return [
            ParameterGroup(self.generator.parameters(), optimizer="generator"),
            ParameterGroup(discriminator, optimizer="discriminator", rate=self.discriminator_rate),
        ]

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        if self.conditional and labels is None:
            labels = self.usual_classes(count)
        return self(self._noise(count), labels)  # type: ignore[no-any-return]

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """The losses of two players say nothing about the samples: the judge does."""

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Samples, and straight walks between two noise vectors, one per row."""
        drawn = super().pictures(batch)
        ends = self._noise(20).view(2, 10, 1, self.latent_dim)
        weights = torch.linspace(0, 1, 11, device=self.device).view(1, 11, 1)
        walk = ends[0] * (1 - weights) + ends[1] * weights  # (10, 11, Z)
        labels = torch.arange(10, device=self.device).repeat_interleave(11) % (self.classes or 10)
        return drawn | {"interpolations": grid(self(walk.flatten(0, 1), labels), columns=11)}

    def _noise(self, count: int) -> Tensor:
        return torch.randn(count, self.latent_dim, device=self.device)

    def _mismatched(self, features: Tensor, labels: Tensor | None) -> list[Tensor]:
        """Return the scores of real images with the name of another class, where they count."""
        if not self.mismatched or labels is None:
            return []
        return [self._scores(features, (labels + torch.randint_like(labels, 1, self.classes)) % self.classes)]

    def _penalty(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Tensor | float:
        """What the discriminator's slope costs."""
        score = partial(self.score, labels=labels)
        costs = []
        if self.r1:
            costs.append(self.r1 * r1(score, real))
        if self.gradient_penalty:
            costs.append(self.gradient_penalty * gradient_penalty(score, real, fake))
        return self.penalty_every * sum(costs)
