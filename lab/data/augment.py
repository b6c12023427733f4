"""Random changes of training images that keep their class: small shifts, mirror images, small rotations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.config.types import NonNegativeFloat, NonNegativeInt
from lab.data.batch import Batch


@dataclass(frozen=True)
class Augment:
    """Random changes of training images, drawn anew for each image in each epoch. By default there are none.

    Args:
        shift: largest shift in pixels, up, down, left and right. Pixels from outside the image are black. This is also
            known as a random crop after padding (Krizhevsky et al. 2012; He et al. 2015, section 4.2).
        flip: mirror half of the images from left to right. Do not use it for digits or letters.
        rotate: largest rotation in degrees, in either direction. Pixels from outside the image are black.
    """

    shift: NonNegativeInt = 0
    flip: bool = False
    rotate: NonNegativeFloat = 0.0

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return the batch with other images, `(B, C, H, W)`, float32."""
        images, _ = batch
        if self.rotate:
            images = rotate(images, generator, degrees=self.rotate)
        if self.shift:
            images = shift(images, generator, pixels=self.shift)
        if self.flip:
            images = flip(images, generator)
        return replace(batch, inputs=images)


def shift(images: Tensor, generator: torch.Generator, *, pixels: int) -> Tensor:
    """Move each of `(B, C, H, W)` by up to `pixels` along both axes. Pixels from outside the image are 0."""
    count, _, height, width = images.shape
    device = images.device
    padded = F.pad(images, (pixels, pixels, pixels, pixels))
    down, right = torch.randint(2 * pixels + 1, (2, count, 1), generator=generator, device=device)
    rows, columns = torch.arange(height, device=device) + down, torch.arange(width, device=device) + right
    which = torch.arange(count, device=device)[:, None, None]
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def flip(images: Tensor, generator: torch.Generator, *, probability: float = 0.5) -> Tensor:
    """Mirror each of `(B, C, H, W)` from left to right with this probability."""
    chosen = torch.rand(len(images), generator=generator, device=images.device) < probability
    return torch.where(chosen[:, None, None, None], images.flip(3), images)


def rotate(images: Tensor, generator: torch.Generator, *, degrees: float) -> Tensor:
    """Rotate each of `(B, C, H, W)` about its centre by up to `degrees` in either direction, with bilinear
    interpolation. Pixels from outside the image are 0."""
    height, width = images.shape[2:]
    turned = torch.rand(len(images), generator=generator, device=images.device) * 2 - 1
    angle = turned * math.radians(degrees)
    cos, sin, none = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # In coordinates from -1 to 1 along both sides, a rotation stretches an image that is not square; this undoes it.
    rows = [torch.stack([cos, -sin * height / width, none], 1), torch.stack([sin * width / height, cos, none], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
