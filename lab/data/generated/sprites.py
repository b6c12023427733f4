"""Images of one sprite each, generated from factors that are known, as in dSprites (Matthey et al. 2017)."""

from __future__ import annotations

import hashlib
import itertools
import math

import torch
from torch import Tensor

from lab.config.types import NonNegativeInt, PositiveInt
from lab.data.base import Batches, DataModule, DatasetInfo
from lab.data.batches import TensorBatches
from lab.data.own.examples import Split
from lab.data.sets.images import unit_floats
from lab.data.spec import DataSpec, InputSpec, Values
from lab.errors import ConfigError

SIDE, PATCH, FINE = 28, 17, 4  # pixels of an image, of the square that holds a sprite, and points along a pixel
SHAPES = ("square", "ellipse", "heart")
SIZES = (0.45, 0.6, 0.75, 0.9)  # of half the square
TURNS, PLACES = 8, SIDE - PATCH + 1  # angles of a quarter turn, and places along an axis
FACTORS = ("shape", "size", "angle", "x", "y")
TESTED = 3_824


class Sprites(DataModule):
    """13,824 grey images of 28x28 pixels: a white square, ellipse or heart in 4 sizes, 8 angles and 12x12 places.

    The targets are the numbers of the five factors, from 0. Each combination is there once. The angles are within a
    quarter turn, so that all images differ. 3,824 random ones, always the same, are the test split.

    Args:
        batch_size: images per training batch.
        eval_batch_size: images per validation and test batch.
        val_size: of the 10,000 other images, how many are held out for validation.
    """

    def __init__(
        self, *, batch_size: PositiveInt = 128, eval_batch_size: PositiveInt = 500, val_size: NonNegativeInt = 1_000
    ) -> None:
        self.batch_size, self.eval_batch_size, self.val_size = batch_size, eval_batch_size, val_size

    def prepare(self) -> None:
        images, factors = drawn()
        self._whole, self._test = (Split(images[at], factors[at]) for at in _order(len(images)))
        if self.val_size >= len(self._whole.labels):
            most = len(self._whole.labels) - 1
            raise ConfigError(f"data.val_size must be at most {most:,}, received {self.val_size:,}")
        kept = len(self._whole.labels) - self.val_size
        self._train, self._validation = (
            Split(*(part[at] for part in self._whole)) for at in (slice(kept), slice(kept, None))
        )
        self.info = DatasetInfo("sprites", hashlib.sha256(images.numpy().tobytes()).hexdigest())
        self.spec = DataSpec(InputSpec((1, SIDE, SIDE)), Values((len(FACTORS),), FACTORS))

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return _batches(self._train, device, batch_size or self.batch_size, seed)

    def validation(self, device: torch.device) -> Batches | None:
        return _batches(self._validation, device, self.eval_batch_size) if self.val_size else None

    def test(self, device: torch.device) -> Batches:
        return _batches(self._test, device, self.eval_batch_size)

    def unchanged(self, device: torch.device) -> Batches:
        return _batches(self._whole, device, self.eval_batch_size)


def drawn() -> tuple[Tensor, Tensor]:
    """Return all images `(N, 1, 28, 28)` as bytes, and the numbers of their factors, `(N, 5)` float32."""
    patches = torch.stack(
        [
            _patch(shape, size, math.tau / 4 * turn / TURNS)
            for shape, size, turn in itertools.product(SHAPES, SIZES, range(TURNS))
        ]
    )  # (S, 17, 17)
    images = torch.zeros(len(patches), PLACES, PLACES, SIDE, SIDE, dtype=torch.uint8)
    for x, y in itertools.product(range(PLACES), repeat=2):
        images[:, x, y, y : y + PATCH, x : x + PATCH] = patches
    numbers = [range(count) for count in (len(SHAPES), len(SIZES), TURNS, PLACES, PLACES)]
    factors = torch.tensor(list(itertools.product(*numbers)), dtype=torch.float32)
    return images.view(-1, 1, SIDE, SIDE), factors


def _patch(shape: str, size: float, angle: float) -> Tensor:
    """Return a sprite as bytes, `(17, 17)`: each is the share of the pixel that the sprite covers."""
    line = (torch.arange(PATCH * FINE) + 0.5) / (PATCH * FINE) * 2 - 1
    y, x = torch.meshgrid(line / size, line / size, indexing="ij")
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    if shape == "square":
        inside = torch.maximum(u.abs(), v.abs()) < 0.75
    elif shape == "ellipse":
        inside = u.square() + (v / 0.6).square() < 1
    else:
        inside = (u / 0.9).square() + (v / 0.9 + 0.2 - 0.65 * u.abs().sqrt()).square() < 0.7
    covered = inside.float().view(PATCH, FINE, PATCH, FINE).mean((1, 3))
    return (covered * 255).round().to(torch.uint8)


def _order(count: int) -> tuple[Tensor, Tensor]:
    """Return the places of the training and of the test images in a random order that is always the same."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return order[:-TESTED], order[-TESTED:]


def _batches(split: Split, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
    return TensorBatches(*split, device=device, batch_size=batch_size, seed=seed, transform=unit_floats)
