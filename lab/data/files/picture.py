"""One picture in a file: its size before it is decoded, and its pixels, grey or in colour."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lab.console.wording import count
from lab.errors import DataError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
MOST_PIXELS = 100_000_000  # of one picture: a small file can hold more than fits into memory
SIDEWAYS = {5, 6, 7, 8}  # orientations in EXIF that exchange width and height
ORIENTATION = 0x0112

DAMAGED = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, struct.error),
    Image.DecompressionBombError,
)
"""What Pillow raises for damaged files: found by changing bytes of good ones at random."""

Size = tuple[int, int]
"""Height and width in pixels."""


class Header(NamedTuple):
    """What the beginning of a file says.

    Args:
        size: as the picture is shown, that is, after it has been turned as its EXIF orientation says.
        grey: whether it can have no colour.
        deep: whether it has 16 bits per pixel, of which 8 are kept.
        clear: whether parts of it may be transparent; they are shown on white.
    """

    size: Size
    grey: bool
    deep: bool
    clear: bool


def header(content: bytes, name: str) -> Header:
    """Return what a picture's file says of it, without decoding it. Raises DataError where it is no picture."""
    with _opened(content, name) as picture:
        width, height = picture.size
        sideways = picture.getexif().get(ORIENTATION) in SIDEWAYS
        clear = "A" in picture.mode or "transparency" in picture.info
        grey = picture.mode in ("1", "L", "LA") or picture.mode.startswith("I")
        return Header((width, height) if sideways else (height, width), grey, picture.mode.startswith("I"), clear)


def pixels(content: bytes, name: str, *, size: Size | None = None) -> NDArray[np.uint8]:
    """Return a picture, `(H, W, 3)` or `(H, W)` where it has no colour, from 0 to 255.

    It is turned as its EXIF orientation says, what is transparent in it becomes white, and 16 bits become 8.

    Args:
        content: of the file: PNG, JPEG, BMP, GIF (its first frame) or WebP.
        name: of the file, for messages.
        size: that the picture is stretched or shrunk to; None for its own.

    Raises DataError where it is damaged, or no picture.
    """
    with _opened(content, name) as picture:
        if size:  # a JPEG is decoded at a half, a quarter or an eighth of its size where that is large enough
            picture.draft(None, (2 * max(size), 2 * max(size)))
        picture = ImageOps.exif_transpose(picture)  # first: an image from an array has no EXIF
        if picture.mode.startswith("I"):  # Pillow would cut all values above 255
            picture = Image.fromarray((np.asarray(picture).astype(np.int64) // 257).clip(0, 255).astype(np.uint8))
        mode = "L" if picture.mode in ("1", "L", "LA") else "RGB"
        if "A" in picture.mode or "transparency" in picture.info:
            shown = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown)
        picture = picture.convert(mode)
        return resized(np.asarray(picture), size) if size else np.asarray(picture)


def changes(headers: Sequence[Header], size: Size, name: str = "") -> Iterator[str]:
    """Yield what is lost or changed where pictures get a size and 8 bits, one sentence each. `name` is that of a single
    picture; without it, they are counted."""

    def who(some: Sequence[Header]) -> str:
        return name or count(len(some), "image")

    if bent := [one for one in headers if _stretched(one.size, size)]:
        yield f"{who(bent)} changed proportions in this: images are stretched, not cropped"
    if deep := [one for one in headers if one.deep]:
        yield f"8 of 16 bits were kept in {who(deep)}"
    if clear := [one for one in headers if one.clear]:
        yield f"transparent parts were put on white in {who(clear)}"


def resized(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Return `(H, W)` or `(H, W, 3)` in another size, by bilinear interpolation that averages where it shrinks."""
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


def grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture in the greys of its brightness, `(H, W)`."""
    return image if image.ndim == 2 else np.asarray(Image.fromarray(image).convert("L"))


@contextmanager
def quietly() -> Iterator[None]:
    """Print no warnings inside the block: of large pictures, which are refused here, and of odd metadata. It is for the
    main thread; others may read pictures meanwhile."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def written(size: Size) -> str:
    """Return a size as people write it: width x height."""
    return f"{size[1]}x{size[0]}"


def _stretched(old: Size, new: Size) -> bool:
    return abs(old[0] * new[1] / (old[1] * new[0]) - 1) > 0.1


@contextmanager
def _opened(content: bytes, name: str) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if (area := picture.width * picture.height) > MOST_PIXELS:
                raise DataError(f"{name} has {area:,} pixels; at most {MOST_PIXELS:,} are read")
            yield picture
    except UnidentifiedImageError as error:
        raise DataError(f"{name} cannot be read as an image: it is no PNG, JPEG, BMP, GIF or WebP") from error
    except DAMAGED as error:
        raise DataError(f"{name} cannot be read as an image: {error}") from error
