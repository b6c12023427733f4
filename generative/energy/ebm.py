"""An energy-based model of images, trained by Langevin chains (Du & Mordatch 2019; Nijkamp et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative.energy.chains import over_time, tell_of_collapse
from generative.energy.langevin import langevin
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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

# Dimensions: B images, C H W of an image, N chains that are kept.

COLUMNS = 14  # of the pictures of chains


class EBM(ImageGenerator):
    """p(x) is proportional to exp(-E(x)), where E is the shared encoder with one linear layer.

    The loss is the energy of the images minus that of Langevin chains. Most chains go on where they ended before: they
    are kept with the weights.

    Args:
        encoder: the trunk under the energy.
        steps: of Langevin dynamics, for each chain of a training step.
        step_size: of Langevin dynamics.
        noise: of Langevin dynamics, its standard deviation.
        chains: that are kept. As many as there are images in a batch take part in a training step.
        renewed: share of these that begin anew, at uniform noise.
        penalty: weight of the squared energies in the loss, which holds them near 0 (Du & Mordatch, section 3.3).
        data_noise: standard deviation of noise on the training images (Nijkamp et al., section 3.4).
        sample_steps: from a chain that is kept to a sample.
        fid_samples: samples that are judged beside test images, at most as many as there are; null for no judge.
    """

    roles = Roles(protocol=("sample_steps",))
    averaged = ("encoder", "head")
    chains: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        steps: PositiveInt = 20,
        step_size: PositiveFloat = 10.0,
        noise: NonNegativeFloat = 0.005,
        chains: PositiveInt = 5_000,
        renewed: Fraction = 0.05,
        penalty: NonNegativeFloat = 0.1,
        data_noise: NonNegativeFloat = 0.0,
        sample_steps: PositiveInt = 60,
        fid_samples: PositiveInt | None = None,
    ) -> None:
        super().__init__(spec, fid_samples)
        image = spec.require_one_input("EBM")
        self.shape = image.require_image("EBM")
        self.steps, self.step_size, self.noise = steps, step_size, noise
        self.renewed, self.penalty, self.data_noise, self.sample_steps = renewed, penalty, data_noise, sample_steps
        self.encoder = build_encoder(encoder, image)
        self.head = nn.Linear(self.encoder.features_dim, 1)
        self.register_buffer("chains", torch.rand(chains, *self.shape))

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        outside = "probability that {} has a higher energy than a test image: 0.5 where the energy tells nothing"
        return {
            "train/loss": "energy of the images minus that of the chains, and the penalty: its gradient teaches, its "
            "value says little",
            "test/energy": "mean energy of the test images",
            "test/auroc_letters": outside.format("a letter in one of six fonts of DejaVu"),
            "test/auroc_noise": outside.format("an image of independent uniform pixels"),
            "pictures/samples": f"chains that were kept in training, after {self.sample_steps} more steps",
            "pictures/from_noise": f"each row is a chain that begins at noise, with {self.steps} steps between two "
            "columns",
            "pictures/chains": f"each row is a chain that was kept in training, with {self.sample_steps} steps between "
            "two columns: where it mixes, one digit becomes another",
            **self.judged,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Return the energies, `(B,)`, of images `(B, C, H, W)` in [0, 1]."""
        return self.head(self.encoder(x)).squeeze(1)  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, _ = batch
        if self.data_noise:
            x = (x + self.data_noise * torch.randn_like(x)).clamp(0, 1)
        fantasies = self._fantasies(len(x))
        real, fake = self(torch.cat([x, fantasies])).split((len(x), len(fantasies)))
        penalty = self.penalty * (real.square().mean() + fake.square().mean())
        loss = real.mean() - fake.mean() + penalty
        return {"loss": loss, "energy": real.detach().mean(), "chain_energy": fake.detach().mean()}

    def move(self, x: Tensor, steps: int) -> Tensor:
        """Return where chains `(B, C, H, W)` are after so many steps."""
        return langevin(self, x, steps, step_size=self.step_size, noise=self.noise)

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        """Return chains that were kept, each of them as often, after some more steps."""
        order = torch.cat([torch.randperm(len(self.chains)) for _ in range(-(-count // len(self.chains)))])
        return self.move(self.chains[order[:count].to(self.device)], self.sample_steps)

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        super().prepare_test(data, device, fast_dev_run=fast_dev_run)
        tell_of_collapse(self.chains, data)
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
        """Samples, and chains over time: from noise, and from where they ended in training."""
        noise = torch.rand(10, *self.shape, device=self.device)
        return super().pictures(batch) | {
            "from_noise": over_time(noise, lambda x: self.move(x, self.steps), COLUMNS),
            "chains": over_time(self.chains[:10], lambda x: self.move(x, self.sample_steps), COLUMNS),
        }

    def _fantasies(self, count: int) -> Tensor:
        """Return the ends of at most `count` chains. While the model trains, they are kept there."""
        chosen = torch.randperm(len(self.chains), device=self.device)[:count]
        begun = self.chains[chosen]
        renewed = torch.rand(len(begun), 1, 1, 1, device=self.device) < self.renewed
        ends = self.move(torch.where(renewed, torch.rand_like(begun), begun), self.steps)
        if self.training:
            self.chains[chosen] = ends
        return ends
