"""Frames of a film: the environment's picture, enlarged if it is small, under a line of text."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont

LEAST, MOST = 320, 1280  # pixels: smaller pictures are enlarged, larger ones reduced
LANCZOS_REACH = 4  # pixels of the smaller picture: the filter's three, and one for rounding
BAND, OVER, TEXT = (24, 26, 32), (20, 83, 45), (240, 240, 240)  # the band is green once the episode is over


class Frames:
    """Makes the frames of a film, one after the other. Only what has changed since the last picture is made smaller.

    Args:
        most: pixels of the longer side of a picture in its frame.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.last: Image.Image | None = None
        self.shown: Image.Image | None = None  # the last picture in the size in which it is shown

    def frame(self, picture: np.ndarray[Any, Any], text: str, *, over: bool = False) -> Image.Image:
        """Return `picture` `(H, W, 3)`, or `(H, W)` in grey, uint8, under a band with `text`.

        The size of the frame depends only on the size of the picture. Both of its sides are even, as H.264 requires.
        """
        image = self._sized(Image.fromarray(np.asarray(picture)).convert("RGB"))
        width = _even(max(image.width, LEAST))
        size = max(15, width // 32)
        font, band = _font(size), _even(2 * size)
        sheet = Image.new("RGB", (width, band + _even(image.height)), BAND)
        sheet.paste(image, ((width - image.width) // 2, band))
        pen = ImageDraw.Draw(sheet)
        if over:
            pen.rectangle((0, 0, width, band - 1), fill=OVER)
        pen.text((0.6 * size, band / 2), text, fill=TEXT, font=_fitting(font, text, width), anchor="lm")
        return sheet

    def _sized(self, image: Image.Image) -> Image.Image:
        """Return a picture in the size in which it is shown, both sides even: a row less, or a dark one more."""
        longer = max(image.size)
        if longer < LEAST:  # whole pixels: a grid world of 7 x 7 stays sharp
            factor = -(-LEAST // longer)
            image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
        elif longer > self.most:
            image = self._reduced(image)
        return image.crop((0, 0, image.width // 2 * 2 or 1, image.height // 2 * 2 or 1))

    def _reduced(self, image: Image.Image) -> Image.Image:
        """Return a picture with a longer side of `most` pixels: the last one with what has changed since, within one
        level of 255."""
        width, height = (max(1, side * self.most // max(image.size)) for side in image.size)
        changed: tuple[int, int, int, int] | None = (0, 0, *image.size)
        if self.last is None or self.shown is None or self.last.size != image.size:
            self.shown = Image.new("RGB", (width, height))
        else:
            changed = ImageChops.difference(image, self.last).getbbox()
        self.last = image
        if changed is not None:
            across, down = image.width / width, image.height / height
            left, right = _seen_by(changed[0], changed[2], across, width)
            top, bottom = _seen_by(changed[1], changed[3], down, height)
            box = (left * across, top * down, min(right * across, image.width), min(bottom * down, image.height))
            part = image.resize((right - left, bottom - top), Image.Resampling.LANCZOS, box=box)
            self.shown.paste(part, (left, top))
        return self.shown


def _seen_by(start: int, stop: int, scale: float, most: int) -> tuple[int, int]:
    """Return the first pixel, and the one after the last, whose Lanczos window sees some of the pixels from `start` to
    `stop` of a picture that is `scale` times as large."""
    first, last = math.floor(start / scale - LANCZOS_REACH), math.ceil(stop / scale + LANCZOS_REACH)
    return max(0, first), min(most, last)


def title(like: Image.Image, text: str) -> Image.Image:
    """Return a dark frame of the size of `like` with `text` in its middle."""
    sheet = Image.new("RGB", like.size, BAND)
    font = _fitting(_font(max(20, like.width // 16)), text, like.width)
    ImageDraw.Draw(sheet).text((like.width / 2, like.height / 2), text, fill=TEXT, font=font, anchor="mm")
    return sheet


def caption(length: int, total: float) -> str:
    """Return the line above a frame: the steps and the return so far."""
    return f"step {length:<5} return {number(total)}"


def frames_per_second(metadata: Mapping[str, Any]) -> float:
    """Return how fast an environment with this metadata wants to be shown; 30 where it does not say."""
    return float(metadata.get("render_fps") or 30)


def draw_into_memory() -> None:
    """Let pygame draw without looking for a screen."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def number(value: float) -> str:
    """Return a return as text: without decimals if it is a whole number."""
    return f"{value:.0f}" if value == round(value) else f"{value:.2f}"


def _fitting(font: ImageFont.FreeTypeFont, text: str, width: int) -> ImageFont.FreeTypeFont:
    needed = font.getlength(text) + 1.2 * font.size
    return font if needed <= width else _font(max(8, int(font.size * width / needed)))


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's wheels all have FreeType
    return font


def _even(side: int) -> int:
    return side + side % 2
