"""Points in the plane whose two classes no line parts, generated from densities that are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lab.config.roles import Roles
from lab.config.types import NonNegativeInt, PositiveFloat, PositiveInt
from lab.data.base import DatasetInfo
from lab.data.batches import GeneratedData
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.errors import ConfigError, nearest

CENTRES = 512  # along the curve of a class: much closer together than the noise is wide
TURNS = 1.5  # of a spiral


class Drawn(NamedTuple):
    """Points `(N, 2)`, float32, and their classes `(N,)`, int64."""

    points: Tensor
    labels: Tensor


@dataclass(frozen=True, eq=False)
class Mixture:
    """What generates the points: each is a random centre of its class, plus Gaussian noise. The classes are equally
    likely.

    Args:
        centres: `(2, K, 2)`: of each class, K equally likely ones.
        noise: standard deviation in each direction.
    """

    centres: Tensor
    noise: float

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """Return random points `(count, 2)` and their classes `(count,)`, half of them of each."""
        labels = torch.arange(count) % 2
        chosen = torch.randint(self.centres.shape[1], (count,), generator=generator)
        return Drawn(self.centres[labels, chosen] + self.noise * torch.randn(count, 2, generator=generator), labels)

    def log_densities(self, points: Tensor) -> Tensor:
        """Return for points `(B, 2)` the logarithm of the density of each class, `(B, 2)`, without the constant that
        they share. The class with the larger one is the best guess that there is (Bayes' rule)."""
        gaps = points[:, None, None] - self.centres.to(points)  # (B, 2, K, 2)
        return (-gaps.square().sum(3) / (2 * self.noise**2)).logsumexp(2)


class Points(GeneratedData):
    """Generated points `(x, y)` of two classes. They are the same for all seeds.

    Args:
        name: `spirals`, `moons`, `circles` or `xor`, where the class is the sign of x times y.
        noise: standard deviation of the noise in each direction, where the figures have a radius of about 1; null for
            one at which the best guess there is classifies 99.5 to 99.8 % of the points correctly.
        train_size: points for training.
        val_size: for validation.
        test_size: for the test.
        batch_size: points per training batch.
        eval_batch_size: points per validation and test batch.
    """

    roles = Roles(task=("noise",))

    generator: Mixture
    """What generated the points, for bounds that know it."""

    def __init__(
        self,
        *,
        name: str = "spirals",
        noise: PositiveFloat | None = None,
        train_size: PositiveInt = 2_000,
        val_size: NonNegativeInt = 1_000,
        test_size: PositiveInt = 10_000,
        batch_size: PositiveInt = 50,
        eval_batch_size: PositiveInt = 1_000,
    ) -> None:
        if name not in SHAPES:
            raise ConfigError(f"data.name must be one of {', '.join(SHAPES)}, received {name!r}{nearest(name, SHAPES)}")
        self.name, self.noise = name, noise or SHAPES[name].noise
        self.train_size, self.val_size, self.test_size = train_size, val_size, test_size
        self.batch_size, self.eval_batch_size, self.validates = batch_size, eval_batch_size, val_size > 0

    def prepare(self) -> None:
        self.generator = Mixture(SHAPES[self.name].centres(), self.noise)
        drawn, sizes = torch.Generator().manual_seed(0), (self.train_size, self.val_size, self.test_size)
        train, validation, test = (self.generator.draw(size, drawn) for size in sizes)
        self.parts = (train, validation, test)
        self.info = DatasetInfo(self.name, self.digest())
        self.spec = DataSpec(InputSpec((2,)), Classes(2, ("blue", "orange")))


def spirals() -> Tensor:
    """Two arms of one and a half turns around the origin. The centres are equally far apart along them, nearly."""
    along = torch.linspace(0.15**2, 1, CENTRES).sqrt()  # the radius; a turn further out is longer
    angle = math.tau * TURNS * along
    arm = torch.stack([along * angle.cos(), along * angle.sin()], 1)
    return torch.stack([arm, -arm])


def moons() -> Tensor:
    """Two half circles that reach into each other, as scikit-learn's make_moons has them."""
    angle = torch.linspace(0, math.pi, CENTRES)
    upper = torch.stack([angle.cos(), angle.sin()], 1)
    return torch.stack([upper, torch.tensor([1.0, 0.5]) - upper])


def circles() -> Tensor:
    """A circle of radius 1/2 in one of radius 1."""
    angle = torch.arange(CENTRES) * (math.tau / CENTRES)
    outer = torch.stack([angle.cos(), angle.sin()], 1)
    return torch.stack([outer, outer / 2])


def xor() -> Tensor:
    """Two opposite corners of a square are of one class, the other two of the other."""
    return torch.tensor([[[1.0, 1.0], [-1.0, -1.0]], [[1.0, -1.0], [-1.0, 1.0]]]) / 2


class Shape(NamedTuple):
    """Where the centres of both classes are, `(2, K, 2)`, and the noise where the config gives none."""

    centres: Callable[[], Tensor]
    noise: float


SHAPES = {
    "spirals": Shape(spirals, 0.055),
    "moons": Shape(moons, 0.125),
    "circles": Shape(circles, 0.09),
    "xor": Shape(xor, 0.165),
}
