"""CartPole's picture, drawn for many copies at once.

The picture is that of Gymnasium's renderer (`gymnasium.envs.classic_control.cartpole`, 600x400): a black cart, a brown
pole, a violet axle and the track as a line. It is converted to grey with the weights of Gymnasium's
`GrayscaleObservation`, and then resized to 64x64 by area: each pixel is the mean of 9.375 x 6.25 pixels of Gymnasium.

There is one difference. Gymnasium rounds every corner to whole pixels; here corners keep their exact position, so that
a movement of a tenth of a pixel is visible. As in Gymnasium, a shape covers one interval along x in each row of pixels
(called a line below), and it is half a pixel larger on all sides, because the pixels under its outline are drawn too.
The pictures are equal if the pole is upright on whole pixels. Otherwise they differ by 1.3 grey levels on average
where something is drawn, and by at most 20, at edges.

Lengths are in Gymnasium's pixels, and y points upwards from the bottom of the picture. The last axis of an array is
the copy: (lines, N) or (columns, lines, N).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Picture = NDArray[np.uint8]

SIZE = 64
"""Rows and columns of a picture."""

WIDTH, HEIGHT = 600 / SIZE, 400 / SIZE  # of one of our pixels
PIXELS_PER_UNIT = 600 / 4.8
PEN = 0.5

_LUMA = np.array([0.2125, 0.7154, 0.0721])
WHITE, POLE, AXLE, BLACK = (float(_LUMA @ rgb) for rgb in ((255,) * 3, (202, 152, 101), (129, 132, 203), (0,) * 3))

CART = range(85, 116)  # the lines of each shape
TRACK = 100
DISC = range(102, 113)
POLES = range(101, 229)  # of every pole that is above the horizontal; the track is drawn over it
IN_FRONT = range(101, 116)  # where a pole may stand in front of the cart

CART_REACH = (25 + PEN) / WIDTH  # in our columns
AXLE_Y, AXLE_RADIUS = 107.5, 5 + PEN
POLE_HALF_WIDTH, POLE_START, POLE_END = 5.0, -5.0, 120.0  # the last two: along the pole, from the axle

ROWS = range(SIZE - 1 - int(POLES[-1] / HEIGHT), SIZE - int(CART[0] / HEIGHT))
"""Rows of our picture, from the top, that depend on the state."""


def _shares(lines: range) -> NDArray[np.float64]:
    """Return the weight of each line in the mean of each of our `ROWS`, (rows, lines)."""
    bottom = HEIGHT * (SIZE - 1 - np.array(ROWS))[:, None]
    line = np.array(lines)
    shared: NDArray[np.float64] = np.minimum(bottom + HEIGHT, line + 1) - np.maximum(bottom, line)
    return shared.clip(0) / HEIGHT


def _heights(lines: range) -> Array:
    """Return the height of the middle of each line above the axle, (lines, 1)."""
    return (np.array(lines, np.float32)[:, None] + np.float32(0.5)) - np.float32(AXLE_Y)


# Grey levels that a line of each shape subtracts from the rows, or adds to them: the pole, the cart behind the pole,
# the axle in front of it, and the cart, all lines of which are equal.
_CART_LINES = range(CART[0], TRACK), range(TRACK + 1, CART[-1] + 1)
_INK: Array = np.concatenate(
    [
        (WHITE - POLE) * _shares(POLES),
        (BLACK - WHITE) * _shares(IN_FRONT),
        (POLE - AXLE) * _shares(DISC),
        (WHITE - BLACK) * sum(_shares(lines).sum(1, keepdims=True) for lines in _CART_LINES),
    ],
    axis=1,
).astype(np.float32)
_POLE, _HIDDEN, _FIXED = (  # parts of the columns of _INK; the last part only shifts with the state
    slice(0, len(POLES)),
    slice(len(POLES), len(POLES) + len(IN_FRONT)),
    slice(len(POLES) + len(IN_FRONT), None),
)
_FRONT = slice(IN_FRONT[0] - POLES[0], IN_FRONT[-1] + 1 - POLES[0])  # the lines of _HIDDEN among those of _POLE
_POLE_Y = _heights(POLES)
_REACH = np.append(np.sqrt(AXLE_RADIUS**2 - _heights(DISC) ** 2) / WIDTH, [[CART_REACH]], axis=0).astype(np.float32)
_ROWS = np.array(ROWS)[:, None]

_BACKGROUND = np.full((SIZE, SIZE), WHITE)
_BACKGROUND[SIZE - 1 - int(TRACK / HEIGHT)] -= (WHITE - BLACK) / HEIGHT
BACKGROUND: Picture = np.round(_BACKGROUND).astype(np.uint8)
"""(64, 64): the picture without cart and pole."""
_BEHIND = (_BACKGROUND[ROWS[0] : ROWS[-1] + 1, :1] + 0.5).astype(
    np.float32
)  # half a level, because the result is truncated

MAX_ANGLE = np.float32(1.57)
CHUNK = 32  # copies drawn together; the arrays of more do not fit into the cache


def draw(x: NDArray[Any], theta: NDArray[Any], out: Picture | None = None) -> Picture:
    """Draw cart-poles.

    Args:
        x: positions of the carts, (N,); the picture shows [-2.4, 2.4].
        theta: angles of the poles in radians, clockwise from upright, (N,). A pole below the horizontal is drawn
            horizontal.
        out: array to draw into, (N, 64, 64) uint8; it may be part of a larger array.

    Returns `out`, or a new array. The grey levels are 0 for black to 255 for white.
    """
    if out is None:
        out = np.empty((len(x), SIZE, SIZE), np.uint8)
    out[:] = BACKGROUND
    for start in range(0, len(x), CHUNK):
        part = slice(start, start + CHUNK)
        _draw(x[part].astype(np.float32), theta[part].astype(np.float32), out[part])
    return out


def _draw(x: Array, theta: Array, out: Picture) -> None:
    """Draw at most `CHUNK` cart-poles upon the background."""
    theta = np.minimum(np.maximum(theta, -MAX_ANGLE), MAX_ANGLE)
    cos, sin = np.cos(theta), np.sin(theta)
    pen = np.float32(PEN) * (cos + np.abs(sin))  # what a square pen draws beyond an outline

    # Only a window of columns around the cart differs from the background. It has the same width for all copies.
    middle = x * np.float32(PIXELS_PER_UNIT / WIDTH) + np.float32(SIZE / 2)
    side, tip = (POLE_HALF_WIDTH + pen) * cos / WIDTH, (POLE_END + pen) * sin / WIDTH
    first = np.floor(middle - np.maximum(side - tip, CART_REACH))
    columns = min(int((np.ceil(middle + np.maximum(side + tip, CART_REACH)) - first).max()), SIZE)
    first = np.minimum(np.maximum(first, 0), SIZE - columns)

    left, right, share = _stretches(cos, sin, pen)
    middle -= first
    left += middle
    right += middle
    column = np.arange(columns, dtype=np.float32)[:, None, None]
    cover = np.minimum(right, column + 1)
    cover -= np.maximum(left, column)
    np.maximum(cover, 0, out=cover)
    cover[:, _POLE] *= share
    cover[:, _HIDDEN] *= share[_FRONT]
    grey = _BEHIND - _INK @ cover  # (columns, rows, N)
    at = first.astype(np.intp)[:, None, None] + np.arange(columns)
    out[np.arange(len(x))[:, None, None], _ROWS, at] = grey.astype(np.uint8).transpose(2, 1, 0)


def _stretches(cos: Array, sin: Array, pen: Array) -> tuple[Array, Array, Array]:
    """Return the left and right end of each line of each shape, (all lines, N), in columns from the middle of the cart;
    and the share of each line's height that the pole covers, (lines of poles, N)."""
    size = np.abs(sin)
    rise = POLE_HALF_WIDTH * size
    y = np.minimum(np.maximum(_POLE_Y, POLE_START * cos - rise), POLE_END * cos + rise)
    share = 1 - np.abs(_POLE_Y - y)
    np.maximum(share, 0, out=share)

    # A pole is the intersection of two strips: between its long sides, and between its ends.
    across = cos * WIDTH
    along = np.copysign(np.maximum(size, np.float32(1e-3)), sin) * WIDTH  # of an upright pole the ends are level anyway
    middle, half = y * (sin / across), (POLE_HALF_WIDTH + pen) / across
    turn, start, end = y * (cos / along), (POLE_START - pen) / along, (POLE_END + pen) / along
    left, right = np.empty((2, _INK.shape[1], len(cos)), np.float32)
    np.maximum(middle - half, np.minimum(start, end) - turn, out=left[_POLE])
    np.minimum(middle + half, np.maximum(start, end) - turn, out=right[_POLE])
    np.maximum(left[_FRONT], -CART_REACH, out=left[_HIDDEN])
    np.minimum(right[_FRONT], CART_REACH, out=right[_HIDDEN])
    right[_FIXED] = _REACH
    left[_FIXED] = -_REACH
    return left, right, share
