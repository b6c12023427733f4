"""What a network of images looks at: its first filters, and the places on which its decision depends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.training.captions import headed, paired
from lab.training.pictures import BETWEEN, grid

if TYPE_CHECKING:
    from PIL.Image import Image

MOST = 16  # images of a picture
SQUARE = 5  # squares that fit beside each other in an image
PLACES = 9  # of a square, in a row, at least
MOST_FILTERS, FILTERS_ACROSS = 64, 8
ENLARGED, GAP = 4, 2  # pixels of a weight, and around a filter

# Dimensions: B images, C H W of an image, F filters of h x w pixels.


@torch.no_grad()
def saliency(score: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return by how much the log-probability of the predicted class falls where a square of an image is covered,
    `(B, H, W)`; below 0 where it rises (Zeiler & Fergus 2014, section 4.2).

    Gradients by the pixels would be cheaper, but those through a max pooling are of single pixels and show little.

    Args:
        score: from images to logits `(B, classes)`.
        images: `(B, C, H, W)`. A square gets the mean of each channel of its image.
    """
    height, width = images.shape[2:]
    whole = score(images).log_softmax(1)
    predicted = whole.argmax(1, keepdim=True)
    grey = images.mean((2, 3), keepdim=True)
    half = max(1, min(height, width) // SQUARE // 2)
    rows, columns = (range(0, length, max(1, length // PLACES)) for length in (height, width))
    fallen = []
    for row in rows:
        for column in columns:
            covered = images.clone()
            covered[:, :, max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1] = grey
            fallen.append((whole - score(covered).log_softmax(1)).gather(1, predicted)[:, 0])
    found = torch.stack(fallen, 1).view(-1, 1, len(rows), len(columns))
    return F.interpolate(found, (height, width), mode="bilinear", align_corners=True)[:, 0]


def looked_at(score: Callable[[Tensor], Tensor], encoder: nn.Module, images: Tensor) -> dict[str, Image]:
    """Return `saliency` and, where there are any, `filters` as pictures. Nothing is drawn of images
    `(B, C, H, W)` whose channels are no grey values or colours."""
    channels = images.shape[1]
    if channels not in (1, 3):
        return {}
    filters = first_filters(encoder, channels)
    return {"saliency": salient(score, images), **({"filters": filters} if filters else {})}


def salient(score: Callable[[Tensor], Tensor], images: Tensor) -> Image:
    """Draw images `(B, C, H, W)` in [0, 1], and below each the places on which its class depends, bright."""
    shown = images[:MOST]
    found = saliency(score, shown).clamp(min=0)
    top = found.flatten(1).amax(1).clamp(min=torch.finfo(found.dtype).tiny)
    bright = (found / top[:, None, None]).unsqueeze(1).expand_as(shown)
    return paired(shown, bright, ("image", "saliency"), MOST)


def first_filters(encoder: nn.Module, channels: int) -> Image | None:
    """Draw the weights of the first convolution: grey is 0, white the largest of a filter. None where no convolution of
    more than one pixel reads the channels of an image."""
    convolutions = (part for part in encoder.modules() if isinstance(part, nn.Conv2d))
    first = next((one for one in convolutions if one.in_channels == channels), None)
    if first is None or max(first.kernel_size) == 1:
        return None
    weight = first.weight.detach()[:MOST_FILTERS]  # (F, C, h, w)
    largest = weight.abs().flatten(1).amax(1).clamp(min=torch.finfo(weight.dtype).tiny)
    tiles = 0.5 + 0.5 * weight / largest[:, None, None, None]
    large = tiles.repeat_interleave(ENLARGED, 2).repeat_interleave(ENLARGED, 3)
    apart = F.pad(large, (GAP, GAP, GAP, GAP), value=BETWEEN)
    return headed(grid(apart, FILTERS_ACROSS), "filters")
