"""Flow matching (Lipman et al. 2023) along straight lines from noise to images (Liu et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from generative.diffusion.guided import Guided, evenly
from lab.config.roles import Roles
from lab.config.types import NonNegativeFloat, PositiveInt, Probability
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.nn.unet import UNetFactory

# Dimensions: B images, C H W of an image; time t from 0 (noise) to 1 (image).

Field = Callable[[Tensor, Tensor], Tensor]
"""Returns velocities `(B, ...)` at points `(B, ...)` and times `(B,)`."""
Solver = Literal["euler", "heun"]


class FlowMatching(Guided):
    """A network learns the velocity with which noise flows to images; following it, noise becomes an image.

    Args:
        network: the U-Net, which is told the time and the class.
        dropped: probability with which an image's class is not told in training.
        steps: of the sampler.
        solver: of the ordinary differential equation: `euler`, or `heun`, of second order, which asks the network
            twice in each step.
        guidance: strength of the guidance to the class (Ho & Salimans 2022); 0 for none.
        fid_samples: samples that are judged beside test images, at most as many as there are; null for no judge.
    """

    roles = Roles(protocol=("solver",))

    def __init__(
        self,
        spec: DataSpec,
        *,
        network: UNetFactory,
        dropped: Probability = 0.1,
        steps: PositiveInt = 20,
        solver: Solver = "euler",
        guidance: NonNegativeFloat = 0.5,
        fid_samples: PositiveInt | None = 10_000,
    ) -> None:
        super().__init__(
            spec, network=network, dropped=dropped, steps=steps, guidance=guidance, fid_samples=fid_samples
        )
        self.solver = solver
        self.descriptions = {
            **self.descriptions,
            "test/loss": "squared error of the velocity, averaged over times and pixels",
        }

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the squared error of the velocity (Lipman et al., equation 23 with sigma_min = 0)."""
        images, labels = batch
        x_1 = 2 * images - 1
        x_0, time = torch.randn_like(x_1), evenly(len(x_1), x_1.device)
        t = time.view(-1, 1, 1, 1)
        found = self((1 - t) * x_0 + t * x_1, time, self.forgetful(labels))
        return {"loss": F.mse_loss(found, x_1 - x_0)}

    def path(self, noise: Tensor, labels: Tensor, strength: float) -> Iterator[Tensor]:
        return flow(lambda x, time: self.guided(x, time, labels, strength), noise, self.steps, self.solver)


def flow(field: Field, x: Tensor, steps: int, solver: Solver) -> Iterator[Tensor]:
    """Yield `x`, `(B, ...)`, at time 0 and after each of `steps` equal steps along the field up to time 1."""
    ones = x.new_ones(len(x))
    yield x
    for t, s in pairwise(torch.linspace(0, 1, steps + 1).tolist()):
        slope = field(x, t * ones)
        there = x + (s - t) * slope
        if solver == "heun":
            there = x + (s - t) * (slope + field(there, s * ones)) / 2
        x = there
        yield x
