"""Frames of a film: the environment's picture, enlarged if it is small, under a line of text."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LEAST, MOST = 320, 1280  # pixels: smaller pictures are enlarged, larger ones reduced
BAND, OVER, TEXT = (24, 26, 32), (20, 83, 45), (240, 240, 240)  # the band is green once the episode is over


def frame(picture: np.ndarray[Any, Any], text: str, *, over: bool = False, most: int = MOST) -> Image.Image:
    """Return `picture` `(H, W, 3)`, or `(H, W)` in grey, uint8, under a band with `text`.

    The size of the frame depends only on the size of the picture. The longer side of the picture becomes at most `most`
    pixels. Both sides of the frame are even, as H.264 requires.
    """
    image = Image.fromarray(np.asarray(picture)).convert("RGB")
    longer = max(image.size)
    if longer < LEAST:  # whole pixels: a grid world of 7 x 7 stays sharp
        factor = -(-LEAST // longer)
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    elif longer > most:
        width, height = (max(1, side * most // longer) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    image = image.crop((0, 0, image.width // 2 * 2 or 1, image.height // 2 * 2 or 1))  # a row less, or a dark one more
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
