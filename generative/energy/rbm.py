"""The restricted Boltzmann machine trained by contrastive divergence (Hinton 2002), also persistent (Tieleman 2008)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from generative.energy.annealing import anneal, schedule
from generative.energy.boltzmann import BoltzmannMachine, drawn
from generative.energy.chains import over_time, tell_of_collapse
from generative.judges.generator import ImageGenerator
from generative.judges.pixels import independent_pixels, nearby_pixels, pixel_means
from lab.config.roles import Roles
from lab.config.types import PositiveInt
from lab.console.notices import notice
from lab.console.progress import Progress
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.errors import ConfigError
from lab.system.randomness import own_randomness
from lab.training.pictures import grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

# Dimensions: B images, C H W of an image, D = C * H * W visible units, N chains.

CPU = torch.device("cpu")
UNCERTAIN = 3.0  # nats between the log weights of annealed chains: their mean then hangs on a few of them
COLUMNS, BETWEEN = 14, 50  # of the picture of the chains, and Gibbs steps between two


class RBM(ImageGenerator):
    """A Boltzmann machine whose visible units are the pixels, binarised anew whenever an image is used.

    The loss is the free energy of the images minus that of the ends of Gibbs chains. Its gradient is that of
    contrastive divergence, so that any optimizer serves.

    Args:
        hidden: units.
        steps: Gibbs steps of a chain in each training step, k of CD-k.
        persistent: whether chains go on where those of the last training step ended; else they begin at the images.
        chains: their number, if they are persistent.
        sample_steps: distributions through which a sample is annealed from independent pixels.
        ais_chains: chains behind the test NLL.
        ais_distributions: through which these are annealed; 14,500 is the protocol of Salakhutdinov & Murray (2008).
        fid_samples: samples that are judged beside test images, at most as many as there are; null for no judge.
    """

    roles = Roles(protocol=("ais_chains", "ais_distributions", "sample_steps"))
    averaged = ("machine",)
    chains: Tensor
    base: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        hidden: PositiveInt = 500,
        steps: PositiveInt = 1,
        persistent: bool = True,
        chains: PositiveInt = 100,
        sample_steps: PositiveInt = 500,
        ais_chains: PositiveInt = 100,
        ais_distributions: PositiveInt = 14_500,
        fid_samples: PositiveInt | None = None,
    ) -> None:
        super().__init__(spec, fid_samples)
        if ais_chains < 2:
            raise ConfigError(f"model.ais_chains must be at least 2, which tell the error, received {ais_chains}")
        self.shape = spec.require_one_input("RBM").require_image("RBM")
        pixels = spec.require_one_input("RBM").size
        self.steps, self.sample_steps = steps, sample_steps
        self.ais_chains, self.ais_distributions = ais_chains, ais_distributions
        self.machine = BoltzmannMachine(pixels, hidden)
        self.register_buffer("base", torch.zeros(pixels))  # logits of the pixels' means
        self.register_buffer("chains", torch.zeros(chains, pixels) if persistent else None)

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        return {
            "train/loss": "free energy of the images minus that of the chains: its gradient teaches, its value says "
            "little",
            "train/free_energy": "of the training images, in nats; where that of validation images is more and more "
            "above it, the machine learns the training images by heart (Hinton 2012, section 6)",
            "test/nll": "negative log-likelihood in nats of the dynamically binarised test images: their free energy "
            f"plus log Z, estimated by annealed importance sampling of {self.ais_chains} chains through "
            f"{self.ais_distributions:,} distributions. Not a bound: where chains miss a part of Z it is too low",
            "test/log_z": "the estimate of log Z in nats",
            "test/log_z_error": "three standard errors of the estimate of Z over the chains, relative to Z: so many "
            "nats may log Z be off by chance",
            "test/log_z_spread": "standard deviation of the chains' log weights in nats",
            "pictures/samples": "annealed from independent pixels; grey is the probability of a pixel given the hidden "
            "units",
            "pictures/filters": "weights of the hidden units with the largest ones: white excites, black inhibits",
            "pictures/chains": f"each row is a Gibbs chain, with {BETWEEN} steps between two columns; at the left "
            + ("the end of training" if self.chains is not None else "a test image"),
            **self.judged,
        }

    def adapt(self, data: DataModule) -> None:
        """Begin with pixels as bright as the training images' (Hinton 2012, section 8), and the chains there."""
        super().adapt(data)
        means = pixel_means(data, CPU).flatten()
        with torch.no_grad(), own_randomness(CPU, seed=0):
            self.base.copy_(means.logit())
            self.machine.visible_bias.copy_(self.base)
            if self.chains is not None:
                self.chains.copy_(drawn(means.expand_as(self.chains)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the free energies in nats, `(B,)`, of `x` `(B, C, H, W)` in {0, 1}."""
        return self.machine.free_energy(x.flatten(1))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, _ = batch
        v = drawn(x.flatten(1))
        data, model = self.machine.free_energy(v).mean(), self.machine.free_energy(self._fantasies(v)).mean()
        return {"loss": data - model, "free_energy": data.detach()}

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        super().prepare_test(data, device, fast_dev_run=fast_dev_run)
        if fast_dev_run:
            self.ais_distributions, self.ais_chains = min(self.ais_distributions, 10), min(self.ais_chains, 5)
            self.sample_steps = min(self.sample_steps, 10)
        with Progress("annealing", self.ais_distributions, "distributions") as progress:
            betas = schedule(self.ais_distributions)
            self.annealed = anneal(self.machine, self.base, betas, self.ais_chains, progress.update)
        if self.chains is not None:
            tell_of_collapse(self.chains.view(-1, *self.shape), data)
        if self.annealed.spread > UNCERTAIN:
            spread = f"{self.annealed.spread:.1f} nats"
            notice(f"log Z is uncertain: the log weights of the annealed chains have a standard deviation of {spread}")

    def test_step(self, batch: Batch, batch_index: int) -> None:
        x, _ = batch
        free_energy = self(drawn(x)).mean()
        self.log("test/nll", free_energy + self.annealed.log_z, batch_size=batch.weight)

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        found = self.annealed
        figures = {"log_z": found.log_z, "log_z_error": 3 * found.error, "log_z_spread": found.spread}
        self.log_dict({f"test/{name}": value for name, value in figures.items()})

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        pixels = {**independent_pixels(data, self.device), **nearby_pixels(data, self.device)}
        return {**pixels, **super().baselines(data)}

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        """Return the probabilities of the pixels given hidden units of annealed chains."""
        v = anneal(self.machine, self.base, schedule(self.sample_steps), count).chains
        return self._probable(v)

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Samples, filters, and chains over time."""
        largest = self.machine.weight.norm(dim=0).argsort(descending=True)[:100]
        filters = self.machine.weight[:, largest].T  # (100, D)
        filters = 0.5 + 0.5 * filters / filters.abs().amax(1, keepdim=True)
        x, _ = batch
        begun = (drawn(x.flatten(1)) if self.chains is None else self.chains)[:10]
        return super().pictures(batch) | {
            "filters": grid(filters.view(-1, *self.shape), columns=10),
            "chains": over_time(begun.view(-1, *self.shape), self._moved, COLUMNS),
        }

    def _fantasies(self, v: Tensor) -> Tensor:
        """Return the ends of chains, `(N, D)`. While the model trains, persistent chains stay there."""
        v = self.machine.gibbs(v if self.chains is None else self.chains, self.steps)
        if self.training and self.chains is not None:
            self.chains.copy_(v)
        return v

    def _moved(self, x: Tensor) -> Tensor:
        return self.machine.gibbs(x.flatten(1), BETWEEN).view_as(x)

    def _probable(self, v: Tensor) -> Tensor:
        """Return the probabilities of the pixels given hidden units drawn for `v`, `(N, C, H, W)`."""
        return self.machine.visible(drawn(self.machine.hidden(v))).view(-1, *self.shape)
