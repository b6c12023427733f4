"""The generative adversarial network (Goodfellow et al. 2014) with convolutions (DCGAN, Radford et al. 2015)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from generative.judges.classifier import FEATURES, Judge, frechet_distance
from lab.config.types import PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import as_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.nn.decoders import DecoderFactory
from lab.system.devices import own_randomness
from lab.training.model import Model
from lab.training.pictures import grid

if TYPE_CHECKING:
    from PIL.Image import Image

CLASS_SAMPLES = 1_000  # samples whose classes are counted


class GAN(Model):
    """Non-saturating GAN: the discriminator is the shared encoder with one linear layer, the generator its mirror.

    Args:
        encoder: the discriminator's trunk.
        generator: from noise to logits of pixels; null for the encoder's mirror with batch norm.
        latent_dim: length of the noise vector, drawn from N(0, 1).
        spectral: spectral norm on all layers of the discriminator (Miyato et al. 2018); the exported encoder is plain.
        fid_samples: generated images behind `test/classifier_fid`, at most as many as there are test images.
    """

    family = "generative"

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        generator: DecoderFactory | None = None,
        latent_dim: PositiveInt = 64,
        spectral: bool = True,
        fid_samples: PositiveInt = 10_000,
    ) -> None:
        super().__init__(spec)
        if fid_samples < 2 * FEATURES:
            raise ConfigError(f"model.fid_samples must be at least {2 * FEATURES}, received {fid_samples}")
        self.automatic_optimization = False
        self.latent_dim, self.fid_samples = latent_dim, fid_samples
        image = spec.require_one_input("GAN")
        self.encoder = build_encoder(encoder, image)
        self.head = nn.Linear(self.encoder.features_dim, 1)
        self.generator = generator(image, latent_dim) if generator else self.encoder.mirror(latent_dim, batch_norm=True)
        if spectral:
            for module in [*self.encoder.modules(), self.head]:
                if isinstance(module, nn.Conv2d | nn.Linear):
                    spectral_norm(module)
        self.judge = Judge(spec)
        self.judge.requires_grad_(False)
        self.real_features: list[Tensor] = []
        self.real_correct: list[Tensor] = []
        self.descriptions = {
            "test/classifier_fid": f"Fréchet distance between samples and test images, at most {fid_samples:,} of "
            "each, in the features of the lab's own small classifier: lower is better; not the published Inception FID",
            "test/classifier_fid_real": "the same between real training and test images: what a perfect generator gets",
            "test/classes_found": f"classes that make up at least 3 % of {CLASS_SAMPLES:,} samples, by that classifier",
            "test/rarest_class": "share of the rarest class among these samples",
            "test/judge_accuracy": "accuracy of that classifier on the test images",
        }

    def forward(self, z: Tensor) -> Tensor:
        """Return images `(B, C, H, W)` in [0, 1] for noise `(B, latent_dim)`."""
        return torch.sigmoid(self.generator(z))

    def score(self, x: Tensor) -> Tensor:
        """Return the discriminator's logits `(B, 1)`: positive for real."""
        return self.head(self.encoder(x))  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Both losses on fresh noise; the training step computes the same ones, each with its own gradients."""
        x, _ = batch
        real, fake = self.score(x), self.score(self(self._noise(len(x))))
        return {"loss": discriminator_loss(real, fake), "generator_loss": generator_loss(fake)}

    def training_step(self, batch: Batch, batch_index: int) -> Any:
        generator_optimizer, discriminator_optimizer = self.optimizers()  # type: ignore[attr-defined]
        x, _ = batch
        fake = self(self._noise(len(x)))

        real_score, fake_score = self.score(x), self.score(fake.detach())
        loss = discriminator_loss(real_score, fake_score)
        self.require_finite({"discriminator_loss": loss})
        self._step(discriminator_optimizer, loss, self._discriminator())

        score = self.score(fake)
        loss_generator = generator_loss(score)
        self.require_finite({"generator_loss": loss_generator})
        self._step(generator_optimizer, loss_generator, list(self.generator.parameters()))
        for schedule in self.lr_schedulers():  # type: ignore[union-attr]
            schedule.step()

        return {
            "discriminator_loss": loss.detach(),
            "generator_loss": loss_generator.detach(),
            "score_real": real_score.detach().sigmoid().mean(),
            "score_fake": fake_score.detach().sigmoid().mean(),
        }

    def configure_optimizers(self) -> Any:
        steps = int(self.trainer.estimated_stepping_batches)
        pairs = [self.optimization.build(p, steps) for p in (self.generator.parameters(), self._discriminator())]
        return [optimizer for optimizer, _ in pairs], [schedule for _, schedule in pairs]

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        """Train the judge on the real training images. It stays with the model, so a second test is judged alike."""
        if not self.judge.trained:
            with own_randomness(device, seed=0):  # the same judge whatever the run's seed
                self.judge = Judge(self.spec).to(device)
                self.judge.learn(data, device, limit=2 if fast_dev_run else None)
        self.judge.to(device).requires_grad_(False).eval()
        with torch.no_grad():
            training = as_batches(data.train(device, seed=1, batch_size=500), device, seed=1)
            batches = islice(training, -(-self.fid_samples // 500))
            self.training_features = torch.cat([self.judge(x)[0] for x, _ in batches])[: self.fid_samples]
        self.real_features, self.real_correct = [], []

    def test_step(self, batch: Batch, batch_index: int) -> None:
        x, labels = batch
        features, logits = self.judge(x)
        self.real_features.append(features)
        self.real_correct.append(logits.argmax(1) == labels)

    def on_test_epoch_end(self) -> None:
        real = torch.cat(self.real_features)[: self.fid_samples]
        judged = [self.judge(self(self._noise(500))) for _ in range(-(-max(len(real), CLASS_SAMPLES) // 500))]
        features, logits = (torch.cat(parts) for parts in zip(*judged, strict=True))
        counts = logits[:CLASS_SAMPLES].argmax(1).bincount(minlength=logits.shape[1])
        shares = counts.float() / CLASS_SAMPLES
        self.log("test/classifier_fid", frechet_distance(features[: len(real)], real))
        self.log("test/classifier_fid_real", frechet_distance(self.training_features, real))
        self.log("test/classes_found", (shares >= 0.03).sum().float())
        self.log("test/rarest_class", shares.min())
        self.log("test/judge_accuracy", torch.cat(self.real_correct).float().mean())

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Samples, and straight walks between two noise vectors, one per row."""
        ends = self._noise(20).view(2, 10, 1, self.latent_dim)
        weights = torch.linspace(0, 1, 11, device=self.device).view(1, 11, 1)
        walk = ends[0] * (1 - weights) + ends[1] * weights  # (10, 11, Z)
        return {
            "samples": grid(self(self._noise(100)), columns=10),
            "interpolations": grid(self(walk.flatten(0, 1)), columns=11),
        }

    def _noise(self, count: int) -> Tensor:
        return torch.randn(count, self.latent_dim, device=self.device)

    def _discriminator(self) -> list[nn.Parameter]:
        return [p for p in (*self.encoder.parameters(), *self.head.parameters()) if p.requires_grad]

    def _step(self, optimizer: Any, loss: Tensor, parameters: list[nn.Parameter]) -> None:
        optimizer.zero_grad()
        # Only this player's gradients: those the loss sends on into the other one would be thrown away.
        self.manual_backward(loss + self.optimization.penalty(parameters), inputs=parameters)
        self.configure_gradient_clipping(optimizer)
        optimizer.step()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Binary cross-entropy of telling real from generated, given logits (Goodfellow et al. 2014, equation 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """-log D(G(z)): the non-saturating loss (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake).mean()
