"""Masks in colours, beside their images."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lab.training.pictures import canvas, rendered

if TYPE_CHECKING:
    from PIL.Image import Image

INCHES = 1.3  # of an image


def colours(classes: int) -> Tensor:
    """Return a colour for each class `(C, 3)` in [0, 1]: black for the first, the background."""
    found = [(0.0, 0.0, 0.0)]
    found += [colorsys.hsv_to_rgb(i / (classes - 1), 0.6 + 0.4 * (i % 2), 1) for i in range(classes - 1)]
    return torch.tensor(found)


def indexed(mask: Tensor, classes: int) -> Image:
    """Return a mask `(H, W)` as a picture whose pixels are the numbers of the classes, 256 at most, and whose palette
    has their colours."""
    from PIL import Image as Pictures

    picture = Pictures.fromarray(mask.to(torch.uint8).numpy(), "P")
    picture.putpalette(colours(classes).mul(255).round().int().flatten().tolist())
    return picture


def coloured(images: Tensor, masks: Mapping[str, Tensor], names: Sequence[object]) -> Image:
    """Return images `(B, C, H, W)` in [0, 1] in a row, and below them masks `(B, H, W)` by the names of their rows.

    Args:
        names: of the classes but the background, for the legend.
    """
    palette = colours(len(names) + 1)
    figure = canvas(INCHES * len(images), INCHES * (len(masks) + 1) + 0.5)
    axes = figure.subplots(len(masks) + 1, len(images), squeeze=False)
    rows = {"image": images.cpu().expand(-1, 3, -1, -1).permute(0, 2, 3, 1)}
    rows |= {name: palette[one.cpu()] for name, one in masks.items()}
    for line, (name, row) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(name, fontsize=9)
        for place, one in zip(line, row, strict=True):
            place.imshow(one.clamp(0, 1).numpy(), interpolation="nearest")
            place.set_xticks([])
            place.set_yticks([])
    squares = [figure.gca().scatter([], [], marker="s", color=colour.tolist()) for colour in palette[1:]]
    figure.legend(squares, map(str, names), loc="outside lower center", ncols=len(names), fontsize=8, frameon=False)
    return rendered(figure)
