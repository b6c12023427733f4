"""Boxes as numbers: overlaps, the maps that a network learns them from, and back from its maps to boxes."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SPREAD = 1 / 6  # standard deviation of the bump at a centre, times the box's sides
TINY = 1e-6
MOST = 50  # boxes that are found in an image

# Dimensions: B images, M boxes of an image at most, C classes, h w sides of a map. A cell of it is a square of pixels.


class Targets(NamedTuple):
    """What the maps of a network are to be.

    Args:
        heat: `(B, C, h, w)`, a bump of height 1 at the centre of each thing of a class.
        boxes: `(B, 4, h, w)`, the box of the thing whose centre is in a cell.
        centres: `(B, h, w)`, true in these cells.
    """

    heat: Tensor
    boxes: Tensor
    centres: Tensor


class Found(NamedTuple):
    """What is found in an image: boxes `(N, 4)` in pixels, scores `(N,)` from 0 to 1, and classes `(N,)`."""

    boxes: Tensor
    scores: Tensor
    classes: Tensor


def targets(things: Tensor, classes: int, cells: tuple[int, int], pixels: int) -> Targets:
    """Return the maps for things `(B, M, 5)`: left, top, right, bottom, class; -1 for none (CenterNet, Zhou et al.
    2019, section 3). A cell has a side of so many pixels."""
    batch, device = len(things), things.device
    height, width = cells
    heat = torch.zeros(batch, classes, height, width, device=device)
    boxes = torch.zeros(batch, 4, height, width, device=device)
    centres = torch.zeros(batch, height, width, dtype=torch.bool, device=device)
    rows, columns = ((torch.arange(count, device=device) + 0.5) * pixels for count in cells)
    for thing in things.unbind(1):
        real = thing[:, 4] >= 0
        which, box, kind = real.nonzero()[:, 0], thing[real, :4], thing[real, 4].long()
        middle, sides = (box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]
        x, y = (middle / pixels).long().unbind(1)
        x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
        # Measured from the middle of the centre's cell, which so gets exactly 1.
        across = ((columns - (x[:, None] + 0.5) * pixels) / (SPREAD * sides[:, :1]).clamp(min=TINY)).square()
        down = ((rows - (y[:, None] + 0.5) * pixels) / (SPREAD * sides[:, 1:]).clamp(min=TINY)).square()
        bump = (-0.5 * (down[:, :, None] + across[:, None, :])).exp()  # (b, h, w)
        heat[which, kind] = torch.maximum(heat[which, kind], bump)
        boxes[which, :, y, x], centres[which, y, x] = box, True
    return Targets(heat, boxes, centres)


def boxes_of(distances: Tensor, pixels: int) -> Tensor:
    """Return boxes `(B, 4, h, w)` in pixels, for how many cells it is from the middle of each cell to the left, top,
    right and bottom."""
    height, width = distances.shape[2:]
    y, x = ((torch.arange(count, device=distances.device) + 0.5) * pixels for count in (height, width))
    left, top, right, bottom = (distances * pixels).unbind(1)
    return torch.stack([x - left, y[:, None] - top, x + right, y[:, None] + bottom], 1)


def found(heat: Tensor, boxes: Tensor, least: float) -> list[Found]:
    """Return for each image the boxes at the peaks of its heat, at most 50 of a score of `least`, best first.

    A peak is a cell whose class has the highest score there and in the 3x3 cells around it (CenterNet, section 4).
    """
    best, kinds = heat.max(1)  # (B, h, w)
    peak = (best == F.max_pool2d(best, 3, 1, 1)) & (best >= least)
    made = []
    for image in range(len(heat)):
        scores, at = torch.where(peak[image], best[image], 0.0).flatten().topk(min(MOST, best[image].numel()))
        at = at[scores > 0]
        corners = boxes[image].flatten(1)[:, at].T
        made.append(Found(corners, scores[scores > 0], kinds[image].flatten()[at]))
    return made


def overlaps(a: Tensor, b: Tensor) -> Tensor:
    """Return the intersection over union of boxes `(N, 4)` and `(K, 4)`: `(N, K)`."""
    common = _common(a[:, None], b[None])
    return common / (_area(a)[:, None] + _area(b)[None] - common).clamp(min=TINY)


def generalised_loss(a: Tensor, b: Tensor) -> Tensor:
    """Return 1 - GIoU of boxes `(N, 4)`, pair by pair: `(N,)`. It has a slope where they do not meet (Rezatofighi et
    al. 2019, algorithm 1)."""
    common = _common(a, b)
    union = (_area(a) + _area(b) - common).clamp(min=TINY)
    around = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1).clamp(min=TINY)
    return 1 - common / union + (around - union) / around


def _common(a: Tensor, b: Tensor) -> Tensor:
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    return sides.clamp(min=0).prod(-1)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
