"""A chart of the error by the popularity of items."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from lab.training.pictures import canvas, rendered

EDGES = (0, 5, 10, 20, 50, 100, 200)
"""Fewest training ratings of an item in each group."""


def by_popularity(counts: Tensor, model: Tensor, means: Tensor) -> Image.Image:
    """Draw the RMSE of test ratings in groups by how many training ratings their item has.

    Args:
        counts: training ratings of the item of each test rating, `(N,)`.
        model: squared errors of the model, `(N,)`.
        means: squared errors of the items' mean ratings, `(N,)`.
    """
    counts, model, means = counts.cpu(), model.cpu(), means.cpu()
    group = torch.bucketize(counts, torch.tensor(EDGES[1:], dtype=counts.dtype), right=True)
    there = [number for number in range(len(EDGES)) if (group == number).any()]
    figure = canvas(8, 4.5)
    axes = figure.add_subplot()
    for shift, label, colour, errors in (
        (-0.2, "mean rating of the item", "#b0b0b0", means),
        (0.2, "this model", "#3264a8", model),
    ):
        heights = [float(errors[group == number].mean().sqrt()) for number in there]
        bars = axes.bar([place + shift for place in range(len(there))], heights, 0.38, label=label, color=colour)
        axes.bar_label(bars, fmt="%.2f", fontsize=8)
    axes.set_xticks(range(len(there)), [f"{_named(n)}\n{int((group == n).sum()):,} tested" for n in there], fontsize=8)
    axes.set(xlabel="training ratings of the item", ylabel="test RMSE, stars")
    axes.margins(y=0.15)
    axes.set_title(f"{len(counts):,} test ratings: RMSE {float(model.mean().sqrt()):.3f}")
    axes.legend(loc="upper right")
    return rendered(figure)


def _named(group: int) -> str:
    return f"{EDGES[group]}-{EDGES[group + 1] - 1}" if group + 1 < len(EDGES) else f"{EDGES[group]} or more"
