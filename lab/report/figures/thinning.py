"""Thinning of curves: fewer points that look the same. Extremes are kept, so that no spike is lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def thin(points: int, *curves: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the places, rising, of at most about `points` of the `(n,)` rows that are enough to draw the curves.

    The rows are cut into equal buckets, and of each bucket those with the smallest and the largest value of every
    curve are kept, beside the first and the last row of all. (Steinarsson 2013 calls it min-max decimation; unlike his
    own method it leaves out no extreme.)
    """
    n = len(curves[0])
    if n <= max(points, 2):
        return np.arange(n)
    buckets = max(1, (points - 2) // (2 * len(curves)))
    width = -(-n // buckets)
    rows = np.minimum(np.arange(-(-n // width) * width), n - 1).reshape(-1, width)
    across = np.arange(len(rows))
    kept = [np.array([0, n - 1])]
    for curve in curves:
        values = curve[rows]
        kept += [rows[across, values.argmin(1)], rows[across, values.argmax(1)]]
    return np.unique(np.concatenate(kept))
