"""Images with their boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from PIL import ImageDraw
from torch import Tensor

from lab.training.captions import font
from lab.training.pictures import canvas, pictures, rendered
from supervised.detection.boxes import Found
from supervised.detection.precision import SURE

if TYPE_CHECKING:
    from PIL.Image import Image

INCHES, COLUMNS = 2.2, 4  # of an image; images in a row
TRUE, GUESS = "limegreen", "red"
SIDES = ("left", "top", "right", "bottom")
NAME = 18  # pixels of its letters
VISIBLE = 480  # pixels of the longer side, at least about half


def drawn(images: Tensor, things: Tensor, found: Sequence[Found], names: Sequence[str]) -> Image:
    """Return images `(B, C, H, W)` in [0, 1] with their true boxes `(B, M, 5)`, and the sure ones that were found with
    the names of their classes."""
    from matplotlib.patches import Rectangle

    rows = -(-len(images) // COLUMNS)
    figure = canvas(INCHES * COLUMNS, INCHES * rows)
    spaces = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for axes in spaces:
        axes.set_axis_off()
    for axes, image, truth, guesses in zip(spaces, images, things, found, strict=False):
        axes.imshow(image.cpu().clamp(0, 1).expand(3, -1, -1).permute(1, 2, 0).numpy(), interpolation="nearest")
        boxes = [(box[:4], TRUE, "") for box in truth if box[4] >= 0]
        boxes += [(box, GUESS, names[int(kind)]) for box, score, kind in zip(*guesses, strict=True) if score >= SURE]
        for box, colour, name in boxes:
            left, top, right, bottom = (value - 0.5 for value in box.tolist())  # pixels are centred at whole numbers
            axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color=colour, linewidth=1))
            axes.text(left, top, name, color=colour, fontsize=8, va="bottom")
    return rendered(figure)


def named(found: Found, names: Sequence[str], image: Tensor) -> Iterator[dict[str, str | float]]:
    """Yield each box that was found in an image `(C, H, W)`: class, score, and sides in pixels, inside the image."""
    height, width = image.shape[1:]
    ends = torch.tensor([width, height, width, height])
    for box, score, kind in zip(*(part.cpu() for part in found), strict=True):
        sides = torch.minimum(box.clamp(min=0), ends).tolist()
        places = {side: round(place, 1) for side, place in zip(SIDES, sides, strict=True)}
        yield {"label": names[int(kind)], "score": round(float(score), 4), **places}


def marked(image: Tensor, found: Found, names: Sequence[str]) -> Image:
    """Return an image `(C, H, W)` in [0, 1], enlarged where it is small, with all boxes that were found in it."""
    (picture,) = pictures(image[None])
    scale = max(1, VISIBLE // max(picture.size))
    picture = picture.convert("RGB").resize((picture.width * scale, picture.height * scale), resample=0)
    draw = ImageDraw.Draw(picture)
    for box, kind in zip(found.boxes, found.classes, strict=True):
        left, top, right, bottom = (scale * box).tolist()
        draw.rectangle((left, top, max(left, right), max(top, bottom)), outline=GUESS, width=2)
        draw.text((left + 4, max(0, top - NAME - 4)), names[int(kind)], GUESS, font(NAME))
    return picture
