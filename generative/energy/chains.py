"""Markov chains that a model keeps while it trains: whether they have collapsed, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lab.console.notices import notice
from lab.data.base import DataModule
from lab.data.loader import testing_batches
from lab.training.pictures import grid

if TYPE_CHECKING:
    from PIL.Image import Image

# Dimensions: N chains, C H W of an image.

COLLAPSED = 0.5


def tell_of_collapse(chains: Tensor, data: DataModule) -> None:
    """Say so where chains `(N, C, H, W)` differ from one another by less than half as much as test images do."""
    images, _ = next(iter(testing_batches(data, chains.device)))
    share = (chains.var(0).sum() / images.var(0).sum()).item()
    if share < COLLAPSED:
        notice(f"the chains have collapsed: their variance is {share:.0%} of that of the test images")


def over_time(
    x: Tensor, move: Callable[[Tensor], Tensor], columns: int, shown: Callable[[Tensor], Tensor] = lambda x: x
) -> Image:
    """Draw each of the chains `(N, C, H, W)` as a row of so many images, with a `move` between two columns. `shown` is
    what is drawn of their states."""
    states = [x]
    for _ in range(columns - 1):
        states.append(move(states[-1]))
    return grid(torch.stack([shown(state) for state in states], 1).flatten(0, 1), columns=columns)
