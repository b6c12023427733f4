"""Where a question looked: stories with a column for each hop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from lab.training.pictures import canvas, rendered

if TYPE_CHECKING:
    from PIL.Image import Image

# Dimensions: S sentences, H hops.

LINE = 0.24  # inches of a sentence


class Shown(NamedTuple):
    """A story, its question, the answer that was given and the right one; where each hop looked, `(H, 1 + S)`, the
    first column nothing; and where it was to look, `(H,)`."""

    sentences: Sequence[str]
    question: str
    given: str
    right: str
    weights: Tensor
    wanted: Tensor


def where_it_looked(stories: Sequence[Shown]) -> Image:
    """Draw stories in two columns, each with a column for each hop. What a hop was to look at is framed."""
    from matplotlib.patches import Rectangle

    columns = min(2, len(stories))
    rows = -(-len(stories) // columns)
    longest = max(len(one.sentences) for one in stories)
    figure = canvas(5.2 * columns, rows * (LINE * (longest + 1) + 0.9))
    every = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, one in zip(every, stories, strict=False):
        weights = one.weights.T.numpy()  # (1 + S, H)
        axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        hops = weights.shape[1]
        for hop, place in enumerate(one.wanted.tolist()):
            axes.add_patch(Rectangle((hop - 0.5, place - 0.5), 1, 1, fill=False, edgecolor="firebrick", linewidth=1.5))
        for (row, hop), weight in [((i, j), float(weights[i, j])) for i in range(len(weights)) for j in range(hops)]:
            if weight >= 0.05:
                dark = "white" if weight > 0.6 else "black"
                axes.text(hop, row, f"{weight:.2f}", ha="center", va="center", fontsize=7, color=dark)
        told = ["(nothing)", *(f"{i} {sentence}" for i, sentence in enumerate(one.sentences, 1))]
        axes.set_yticks(range(len(told)), told, fontsize=8)
        axes.set_xticks(range(hops), [f"hop {i + 1}" for i in range(hops)], fontsize=8)
        colour = "black" if one.given == one.right else "firebrick"
        mark = "" if one.given == one.right else f" (right: {one.right})"
        axes.set_title(f"{one.question} {one.given}{mark}", fontsize=9, color=colour, loc="right")
    for axes in every[len(stories) :]:
        axes.axis("off")
    return rendered(figure)
