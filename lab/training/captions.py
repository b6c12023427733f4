"""Grids of images that say what they show: a caption under each image, or a name beside each row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from importlib import resources

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lab.training.pictures import BETWEEN, SCALE, WIDEST, grid, pictures

LETTERS, SMALL = 11, 4  # pixels: height of the letters, and distance around them
NARROWEST = 84  # pixels of a cell
INK, RED, PAPER = (30, 30, 30), (178, 34, 34), (255, 255, 255)


def captioned(images: Tensor, captions: Sequence[Sequence[str]], heading: str, *, red: int = -1) -> Image.Image:
    """Lay out `(N, C, H, W)` in [0, 1] with the lines of a caption under each image, and a heading on top.

    Args:
        captions: the lines for each image, as many for each; a line that is too long is cut.
        red: index of the line that is red; -1 for none.
    """
    shown, columns = pictures(images), math.ceil(math.sqrt(len(images)))
    wide = max(shown[0].width, 1)
    scale = max(1, min(max(SCALE, NARROWEST // wide), WIDEST // (columns * wide)))
    shown = [one.resize((one.width * scale, one.height * scale), Image.Resampling.NEAREST) for one in shown]
    width, line = max(NARROWEST, shown[0].width) + SMALL, LETTERS + SMALL
    height = shown[0].height + line * len(captions[0]) + 2 * SMALL
    top = line + 2 * SMALL
    across = max(columns * width, _width(heading)) + 2 * SMALL
    sheet = Image.new("RGB", (across, top + math.ceil(len(shown) / columns) * height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((SMALL, SMALL), heading, INK, font())
    for i, (image, lines) in enumerate(zip(shown, captions, strict=True)):
        left, upper = SMALL + i % columns * width, top + i // columns * height
        sheet.paste(image, (left, upper))
        for number, text in enumerate(lines):
            place = left, upper + image.height + 1 + number * line
            draw.text(place, _fitting(text, width - SMALL), RED if number == red else INK, font())
    return sheet


def headed(picture: Image.Image, heading: str) -> Image.Image:
    """Return a picture with a heading on top."""
    top = LETTERS + 3 * SMALL
    sheet = Image.new("RGB", (picture.width, picture.height + top), PAPER)
    sheet.paste(picture, (0, top))
    ImageDraw.Draw(sheet).text((SMALL, SMALL), heading, INK, font())
    return sheet


def named_rows(images: Tensor, names: Sequence[str], columns: int) -> Image.Image:
    """Lay out `(N, C, H, W)` in [0, 1] in rows of so many, with the names beside the rows, in turn."""
    picture = grid(images, columns)
    rows = -(-len(images) // columns)
    left = max(map(_width, names)) + 2 * SMALL
    sheet = Image.new("RGB", (left + picture.width, picture.height), PAPER)
    sheet.paste(picture, (left, 0))
    draw = ImageDraw.Draw(sheet)
    for row in range(rows):
        middle = (row + 0.5) * picture.height / rows - LETTERS / 2
        draw.text((SMALL, middle), names[row % len(names)], INK, font())
    return sheet


def paired(above: Tensor, below: Tensor, names: tuple[str, str], columns: int) -> Image.Image:
    """Lay out `(N, C, H, W)` in [0, 1] in rows of so many at most, and under each row what belongs to it, with both
    names beside them."""
    columns = min(columns, len(above))
    empty = above.new_full((-len(above) % columns, *above.shape[1:]), BETWEEN)
    rows = [torch.cat([one, empty]).view(-1, columns, *one.shape[1:]) for one in (above, below)]
    return named_rows(torch.stack(rows, 1).flatten(0, 2), names, columns)


def _fitting(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while text and _width(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _width(text: str) -> int:
    return math.ceil(font().getlength(text))


@cache
def font(letters: int = LETTERS) -> ImageFont.FreeTypeFont:
    """The font of matplotlib's figures, which has the letters of most languages, in letters of so many pixels."""
    path = resources.files("matplotlib").joinpath("mpl-data", "fonts", "ttf", "DejaVuSans.ttf")
    with resources.as_file(path) as file:
        return ImageFont.truetype(str(file), letters)
