"""What a network of images looks at: its first filters, and the pixels on which its decision depends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lab.training.captions import headed, paired
from lab.training.pictures import grid

if TYPE_CHECKING:
    from PIL.Image import Image

MOST, ACROSS = 32, 16  # images of a picture, and in a row
MOST_FILTERS, ENLARGED = 64, 4  # and pixels of a weight
BRIGHTEST = 0.99  # of the pixels of an image are not brighter than white

# Dimensions: B images, C H W of an image, F filters of h x w pixels.


def saliency(score: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the size of the gradient of a score by each pixel, the largest of its channels, `(B, H, W)` (Simonyan et
    al. 2013, section 3.1).

    Args:
        score: from images to logits `(B, classes)`; that of the predicted class is taken, each image for itself.
        images: `(B, C, H, W)`.
    """
    with torch.enable_grad():
        pixels = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(score(pixels).amax(1).sum(), pixels)
    return gradient.abs().amax(1)


def salient(score: Callable[[Tensor], Tensor], images: Tensor) -> Image:
    """Draw images `(B, C, H, W)` in [0, 1], and below each where its saliency is high, bright."""
    shown = images[:MOST]
    found = saliency(score, shown)
    top = found.flatten(1).quantile(BRIGHTEST, 1).clamp(min=torch.finfo(found.dtype).tiny)
    bright = (found / top[:, None, None]).clamp(max=1).unsqueeze(1).expand_as(shown)
    return paired(shown, bright, ("image", "saliency"), ACROSS)


def first_filters(encoder: nn.Module, channels: int) -> Image | None:
    """Draw the weights of the first convolution: grey is 0, white the largest of a filter. None where no convolution of
    more than one pixel reads the channels of an image, or where these are no grey values or colours."""
    convolutions = (part for part in encoder.modules() if isinstance(part, nn.Conv2d))
    first = next((one for one in convolutions if one.in_channels == channels), None)
    if channels not in (1, 3) or first is None or max(first.kernel_size) == 1:
        return None
    weight = first.weight.detach()[:MOST_FILTERS]  # (F, C, h, w)
    largest = weight.abs().flatten(1).amax(1).clamp(min=torch.finfo(weight.dtype).tiny)
    tiles = 0.5 + 0.5 * weight / largest[:, None, None, None]
    large = tiles.repeat_interleave(ENLARGED, 2).repeat_interleave(ENLARGED, 3)
    return headed(grid(large), "filters")
