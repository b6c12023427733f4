"""Pictures of attention: where a decoder looks while it writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from lab.training.pictures import canvas, literal, rendered

if TYPE_CHECKING:
    from PIL.Image import Image

CELL = 0.24  # inches of a token
ROOM = 1.0  # inches for the names of tokens
Map = tuple[Tensor, Sequence[str], Sequence[str]]
"""Weights `(T, S)`, the S tokens that are looked at, and the T that are written."""


def attention_maps(maps: Sequence[Map]) -> Image:
    """Draw weights from 0, white, to 1, dark blue, one map below the other: what is read across, what is written
    down."""
    heights = [CELL * len(written) + ROOM for _, _, written in maps]
    widest = max(len(read) for _, read, _ in maps)
    figure = canvas(max(4.0, CELL * widest + ROOM + 0.5), sum(heights))
    rows = figure.subplots(len(maps), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes, (weights, read, written) in zip(rows[:, 0], maps, strict=True):
        axes.imshow(weights.detach().float().numpy(), cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(read)), [literal(one) for one in read], rotation=60, ha="left", fontsize=8)
        axes.set_yticks(range(len(written)), [literal(one) for one in written], fontsize=8)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
    return rendered(figure)
