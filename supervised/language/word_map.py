"""A map of words in the plane: words whose vectors are alike are near each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lab.training.pictures import canvas, labels, rendered

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 9.0  # inches
DOT = 3.0  # pixels from the middle of a dot to its edge
PLACES = [(4, 0, "left"), (-4, 0, "right"), (0, 7, "center"), (0, -7, "center")]
PLACES += [(4, 6, "left"), (4, -6, "left"), (-4, 6, "right"), (-4, -6, "right")]
PLACES += [(0, 14, "center"), (0, -14, "center"), (10, 10, "left"), (-10, -10, "right")]
"""Where a word may stand beside its dot: points to the right and up, and which side of it is there."""


def word_map(vectors: Tensor, words: Sequence[str], *, strong: int = 0) -> Image:
    """Draw words at places in the plane that t-SNE finds (van der Maaten & Hinton 2008) by how alike their vectors are.

    No two labels overlap: a word whose label has no room is a dot alone, and the title says how many are.

    Args:
        vectors: of length 1, `(N, F)`.
        words: N of them, the most important ones first: these get their labels first.
        strong: so many of the first are drawn in red.
    """
    from matplotlib.transforms import Bbox

    places = plane(vectors)
    figure = canvas(SIDE, SIDE)
    axes = figure.add_subplot()
    axes.scatter(
        places[:, 0], places[:, 1], s=6, color=["firebrick" if i < strong else "grey" for i in range(len(words))]
    )
    axes.margins(0.06)
    axes.set(xticks=(), yticks=())
    figure.canvas.draw()  # the layout, which says where dots are in pixels
    dots = [Bbox.from_bounds(x - DOT, y - DOT, 2 * DOT, 2 * DOT) for x, y in axes.transData.transform(places)]
    inside = axes.get_window_extent()
    taken: list[Bbox] = []
    unlabelled = 0
    for number, (place, word) in enumerate(zip(places, labels(words, "word"), strict=True)):
        own = dots[:number] + dots[number + 1 :]
        label = axes.annotate(
            word,
            place,
            xytext=(0, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color="firebrick" if number < strong else "black",
            weight="bold" if number < strong else "normal",
        )
        for others, (across, up, side) in product(([*taken, *own], taken), PLACES):  # off other dots, if there is room
            label.set(position=(across, up), ha=side)
            box = label.get_window_extent().padded(1)
            if box.count_overlaps(others) == 0 and inside.contains(*box.min) and inside.contains(*box.max):
                taken.append(box)
                break
        else:
            label.remove()
            unlabelled += 1
    told = f", {unlabelled} of them without room for a label" if unlabelled else ""
    axes.set_title(f"{len(words)} words by the likeness of their vectors{told}", fontsize=10)
    return rendered(figure)


def plane(vectors: Tensor) -> np.ndarray:
    """Return places `(N, 2)`, always the same for the same vectors."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    x = vectors.double().numpy()
    if len(x) < 5:  # too few for t-SNE
        return PCA(2, svd_solver="full").fit_transform(np.pad(x, ((0, 0), (0, 2))))  # type: ignore[no-any-return]
    begin = PCA(2, svd_solver="full").fit_transform(x)
    begin *= 1e-4 / max(begin[:, 0].std(), 1e-12)
    perplexity = min(12.0, (len(x) - 1) / 3)
    method = TSNE(2, perplexity=perplexity, init=begin, method="exact", max_iter=750, random_state=0)
    return method.fit_transform(x)  # type: ignore[no-any-return]
