"""Random changes of training images that keep their class: shifts, rotations, sizes, mirror images, strokes, holes,
noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.config.roles import Roles
from lab.config.types import NonNegativeFloat, NonNegativeInt, Probability
from lab.data.batch import Batch
from lab.errors import ConfigError


@dataclass(frozen=True)
class Augment:
    """Random changes of training images, drawn anew for each image in each epoch. By default there are none.

    Args:
        shift: largest shift in pixels, up, down, left and right. Pixels from outside the image are black. This is also
            known as a random crop after padding (Krizhevsky et al. 2012; He et al. 2015, section 4.2).
        flip: mirror half of the images from left to right. Do not use it for digits or letters.
        rotate: largest rotation in degrees, in either direction. Pixels from outside the image are black.
        scale: largest share by which an image is enlarged or shrunk about its centre; below 1.
        cutout: side in pixels of a black square whose centre is anywhere in the image (DeVries & Taylor 2017).
        noise: standard deviation of Gaussian noise on each pixel; what leaves [0, 1] is cut off.
        stretch: height and width grow or shrink, each by itself, by up to the factor 1 + `stretch`.
        shear: largest angle in degrees by which what is upright leans, in either direction.
        stroke: bright strokes grow or shrink by up to this share of a pixel on each side.
    """

    roles: ClassVar[Roles] = Roles(
        added={"scale": 0.0, "cutout": 0, "noise": 0.0, "stretch": 0.0, "shear": 0.0, "stroke": 0.0}
    )

    shift: NonNegativeInt = 0
    flip: bool = False
    rotate: NonNegativeFloat = 0.0
    scale: Probability = 0.0
    cutout: NonNegativeInt = 0
    noise: NonNegativeFloat = 0.0
    stretch: NonNegativeFloat = 0.0
    shear: NonNegativeFloat = 0.0
    stroke: Probability = 0.0

    def require_fitting(self, height: int, width: int) -> None:
        """Raise ConfigError where images of this size would be black, or turned over by what leans."""
        side = min(height, width)
        for name, value in (("shift", self.shift), ("cutout", self.cutout)):
            if value >= side:
                raise ConfigError(
                    f"data.augment.{name} must be below {side} pixels, the side of the images, received {value}"
                )
        if self.shear >= 90:
            raise ConfigError(f"data.augment.shear must be below 90 degrees, received {self.shear:g}")

    def __call__(self, batch: Batch, generator: torch.Generator | None = None) -> Batch:
        """Return the batch with other images, `(B, C, H, W)`, float32. Random numbers are the generator's, or torch's
        own."""
        images, _ = batch
        if self.stroke:
            images = thicken(images, generator, share=self.stroke)
        if self.rotate or self.stretch or self.shear:
            images = warp(images, generator, degrees=self.rotate, stretch=self.stretch, shear=self.shear)
        if self.shift:
            images = shift(images, generator, pixels=self.shift)
        if self.flip:
            images = flip(images, generator)
        if self.scale:
            images = scale(images, generator, most=self.scale)
        if self.cutout:
            images = cutout(images, generator, side=self.cutout)
        if self.noise:
            noise = torch.randn(images.shape, generator=generator, device=images.device)
            images = (images + self.noise * noise).clamp(0, 1)
        return replace(batch, inputs=images)


def shift(images: Tensor, generator: torch.Generator | None, *, pixels: int) -> Tensor:
    """Move each of `(B, C, H, W)` by up to `pixels` along both axes. Pixels from outside the image are 0."""
    count, _, height, width = images.shape
    device = images.device
    padded = F.pad(images, (pixels, pixels, pixels, pixels))
    down, right = torch.randint(2 * pixels + 1, (2, count, 1), generator=generator, device=device)
    rows, columns = torch.arange(height, device=device) + down, torch.arange(width, device=device) + right
    which = torch.arange(count, device=device)[:, None, None]
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def flip(images: Tensor, generator: torch.Generator | None, *, probability: float = 0.5) -> Tensor:
    """Mirror each of `(B, C, H, W)` from left to right with this probability."""
    chosen = torch.rand(len(images), generator=generator, device=images.device) < probability
    return torch.where(chosen[:, None, None, None], images.flip(3), images)


def warp(
    images: Tensor, generator: torch.Generator | None, *, degrees: float = 0, stretch: float = 0, shear: float = 0
) -> Tensor:
    """Rotate each of `(B, C, H, W)` about its centre by up to `degrees` in either direction, with bilinear
    interpolation. Before that, its height grows or shrinks by up to the factor 1 + `stretch`, its width by another such
    factor, and it leans by up to `shear` degrees. Pixels from outside the image are 0."""
    height, width = images.shape[2:]
    angle = _either_way(images, generator) * math.radians(degrees)
    cos, sin, none = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # From a place in the new image to one in the old: turned back, then leant back, then as large as before.
    across, down = (cos, -sin), (sin, cos)
    if shear:
        lean = (_either_way(images, generator) * math.radians(shear)).tan()
        across = (cos + lean * sin, lean * cos - sin)
    if stretch:
        wider, taller = ((_either_way(images, generator) * math.log1p(stretch)).exp() for _ in range(2))
        across, down = (across[0] * wider, across[1] * wider), (down[0] * taller, down[1] * taller)
    # In coordinates from -1 to 1 along both sides, a rotation stretches an image that is not square; this undoes it.
    rows = [
        torch.stack([across[0], across[1] * height / width, none], 1),
        torch.stack([down[0] * width / height, down[1], none], 1),
    ]
    return _moved(images, torch.stack(rows, 1))


def scale(images: Tensor, generator: torch.Generator | None, *, most: float) -> Tensor:
    """Make each of `(B, C, H, W)` 1 - `most` to 1 + `most` times as large, about its centre, with bilinear
    interpolation. Pixels from outside the image are 0."""
    inverse = 1 / (1 + most * _either_way(images, generator))  # the map leads from the new places to the old ones
    none = torch.zeros_like(inverse)
    return _moved(images, torch.stack([inverse, none, none, none, inverse, none], 1).view(-1, 2, 3))


def cutout(images: Tensor, generator: torch.Generator | None, *, side: int) -> Tensor:
    """Set a square of each of `(B, C, H, W)` to 0. Its centre is any pixel, so that it may reach beyond the image."""
    count, _, *lengths = images.shape
    top, left = (
        torch.randint(length, (count, 1), generator=generator, device=images.device) - side // 2 for length in lengths
    )
    return images.masked_fill(squares(top, left, side, lengths), 0)


def squares(top: Tensor, left: Tensor, side: int, lengths: Sequence[int]) -> Tensor:
    """Return which pixels are in a square of each image, `(B, 1, H, W)`, for its first row and column, `(B, 1)`, and
    the height and width of the images. It may reach beyond them."""
    inside = []
    for first, length in zip((top, left), lengths, strict=True):
        places = torch.arange(length, device=first.device)
        inside.append((places >= first) & (places < first + side))
    return (inside[0][:, :, None] & inside[1][:, None, :])[:, None]


def thicken(images: Tensor, generator: torch.Generator | None, *, share: float) -> Tensor:
    """Move each of `(B, C, H, W)` by up to `share` towards the brightest or the darkest of each pixel's 3x3 neighbours:
    bright strokes become thicker or thinner."""
    amount = (_either_way(images, generator) * share).view(-1, 1, 1, 1)
    thicker = F.max_pool2d(images, 3, stride=1, padding=1) - images
    thinner = images + F.max_pool2d(-images, 3, stride=1, padding=1)
    return images + amount.clamp(min=0) * thicker + amount.clamp(max=0) * thinner


def _either_way(images: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return a number from -1 to 1 for each image, `(B,)`."""
    return torch.rand(len(images), generator=generator, device=images.device) * 2 - 1


def _moved(images: Tensor, places: Tensor) -> Tensor:
    """Return the images as seen at the places that affine maps `(B, 2, 3)` lead to."""
    grid = F.affine_grid(places, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
