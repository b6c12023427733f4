"""An energy-based model of noisy images, among which Langevin chains walk (Saremi & Hyvärinen 2019, 'Neural empirical
Bayes')."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative.energy.boltzmann import drawn
from generative.energy.chains import over_time, tell_of_collapse
from generative.energy.langevin import langevin, slope
from generative.energy.outliers import auroc, outliers
from generative.judges.generator import ImageGenerator
from generative.judges.pixels import pixel_means
from lab.config.roles import Roles
from lab.config.types import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.system.randomness import own_randomness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

# Dimensions: B images, C H W of an image, N chains that are kept.

CPU = torch.device("cpu")
SCALE = 10.0
"""Of G, so that its first slopes are about as large as pixels."""

COLUMNS, BETWEEN = 14, 30  # of the pictures of chains, and steps between two


class EBM(ImageGenerator):
    """p(y) is proportional to exp(-E(y) / noise^2), for images y = x + noise * N(0, 1). E(y) = |y|^2 / 2 - G(y), where
    G is the shared encoder with one linear layer: a Gaussian, tilted (Xie et al. 2016).

    Noise joins what lies apart without it, so chains walk from one digit to another. What an image was before its noise
    follows from the energy: E[x | y] = y - dE/dy (Miyasawa 1961). A sample is that of a chain's end.

    Two losses are added. The slope is learned by denoising (Vincent 2011); it says little of where no images are. The
    energy of images minus that of the chains' ends, which are kept for the next step (Tieleman 2008), raises the energy
    there.

    Args:
        encoder: the trunk under G.
        noise: standard deviation of the noise on images, whose pixels are in [0, 1]. With more of it, chains walk
            faster and samples are less sharp.
        contrast: weight of the second loss; 0 for denoising alone.
        steps: of Langevin dynamics, for each chain of a training step.
        rate: of Langevin dynamics, share of the slope that a step follows.
        chains: that are kept. As many as there are images in a batch take part in a training step.
        renewed: share of these that begin anew, at independent pixels.
        sample_steps: from a chain that is kept to a sample.
        fid_samples: samples that are judged beside test images, at most as many as there are; null for no judge.
    """

    roles = Roles(protocol=("sample_steps",))
    averaged = ("encoder", "head")
    chains: Tensor
    means: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        noise: PositiveFloat = 0.4,
        contrast: NonNegativeFloat = 0.3,
        steps: PositiveInt = 5,
        rate: Fraction = 0.3,
        chains: PositiveInt = 1_000,
        renewed: Fraction = 0.02,
        sample_steps: PositiveInt = 60,
        fid_samples: PositiveInt | None = None,
    ) -> None:
        super().__init__(spec, fid_samples)
        image = spec.require_one_input("EBM")
        self.shape = image.require_image("EBM")
        self.noise, self.contrast, self.steps, self.rate = noise, contrast, steps, rate
        self.renewed, self.sample_steps = renewed, sample_steps
        self.encoder = build_encoder(encoder, image)
        self.head = nn.Linear(self.encoder.features_dim, 1)
        self.register_buffer("means", torch.full(self.shape, 0.5))
        self.register_buffer("chains", torch.zeros(chains, *self.shape))

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        outside = "probability that {} has a higher energy than a test image: 0.5 where the energy tells nothing"
        return {
            "train/denoising": "half the squared error of denoised images, over the variance of the noise",
            "train/contrast": "energy of the images minus that of the chains, in nats: about 0 where the chains walk "
            "among images",
            "test/energy": "mean energy of the test images, without noise",
            "test/auroc_letters": outside.format("a letter in one of six fonts of DejaVu"),
            "test/auroc_noise": outside.format("an image of independent uniform pixels"),
            "pictures/samples": f"chains kept in training, after {self.sample_steps} more steps, without noise",
            "pictures/from_pixels": "each row is a chain that begins at independent pixels, shown without its noise, "
            f"with {BETWEEN} steps between two columns",
            "pictures/chains": f"each row is a chain kept in training, shown without its noise, with {BETWEEN} steps "
            "between two columns: where it mixes, one digit becomes another",
            **self.judged,
        }

    def adapt(self, data: DataModule) -> None:
        super().adapt(data)
        with own_randomness(CPU, seed=0):
            self.means.copy_(pixel_means(data, CPU))
            self.chains.copy_(self._begun(len(self.chains)))

    def forward(self, y: Tensor) -> Tensor:
        """Return the energies, `(B,)`, of images `(B, C, H, W)`, with noise or without."""
        tilt = SCALE * self.head(self.encoder(y)).squeeze(1)
        return y.square().flatten(1).sum(1) / 2 - tilt  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, _ = batch
        y = x + self.noise * torch.randn_like(x)
        real, slopes = slope(self, y, learns=True)
        variance = self.noise**2
        denoising = (y - slopes - x).square().flatten(1).sum(1).mean() / (2 * variance)
        contrast = (real.mean() - self(self._fantasies(len(x))).mean()) / variance
        return {
            "loss": denoising + self.contrast * contrast,
            "denoising": denoising.detach(),
            "contrast": contrast.detach(),
        }

    def move(self, y: Tensor, steps: int) -> Tensor:
        """Return where chains `(B, C, H, W)` are after so many steps."""
        return langevin(self, y, steps, rate=self.rate, noise=self.noise)

    def denoised(self, y: Tensor) -> Tensor:
        """Return what images `(B, C, H, W)` are expected to be without their noise, in [0, 1]."""
        return (y - slope(self, y)[1]).clamp(0, 1)

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        """Return chains that were kept, in random order, after some more steps and without their noise."""
        order = torch.cat([torch.randperm(len(self.chains)) for _ in range(-(-count // len(self.chains)))])
        return self.denoised(self.move(self.chains[order[:count].to(self.device)], self.sample_steps))

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        super().prepare_test(data, device, fast_dev_run=fast_dev_run)
        tell_of_collapse(self.denoised(self.chains), data)
        self.energies: list[Tensor] = []

    def test_step(self, batch: Batch, batch_index: int) -> None:
        x, _ = batch
        self.energies.append(self(x))

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        real = torch.cat(self.energies)
        figures = {f"auroc_{name}": auroc(real, self(x.to(self.device))) for name, x in outliers(self.shape).items()}
        self.log_dict({f"test/{name}": value for name, value in figures.items()} | {"test/energy": real.mean()})

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """Outliers found by the likelihood of their grey values under independent pixels."""
        mean = pixel_means(data, self.device)

        def nll(x: Tensor) -> Tensor:
            return F.binary_cross_entropy(mean.expand_as(x), x, reduction="none").flatten(1).sum(1)

        real = torch.cat([nll(x) for x, _ in testing_batches(data, self.device)])
        found = {name: auroc(real, nll(x.to(self.device))) for name, x in outliers(self.shape).items()}
        figures = {f"test/auroc_{name}": value for name, value in found.items()}
        return {"independent pixels": figures, **super().baselines(data)}

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Samples, and chains over time: from independent pixels, and from where they ended in training."""

        def walks(begun: Tensor) -> Image:
            return over_time(begun, lambda y: self.move(y, BETWEEN), COLUMNS, shown=self.denoised)

        return super().pictures(batch) | {"from_pixels": walks(self._begun(10)), "chains": walks(self.chains[:10])}

    def _begun(self, count: int) -> Tensor:
        """Return chains that begin at independent pixels, each with its mean over the images, and noise."""
        x = drawn(self.means.expand(count, *self.shape))
        return x + self.noise * torch.randn_like(x)

    def _fantasies(self, count: int) -> Tensor:
        """Return the ends of at most `count` chains. While the model trains, they are kept there."""
        chosen = torch.randperm(len(self.chains), device=self.device)[:count]
        begun = self.chains[chosen]
        renewed = torch.rand(len(begun), 1, 1, 1, device=self.device) < self.renewed
        ends = self.move(torch.where(renewed, self._begun(len(begun)), begun), self.steps)
        if self.training:
            self.chains[chosen] = ends
        return ends
