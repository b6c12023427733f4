"""Saliency is what covering an image costs the predicted class, and filters are drawn as they are."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from supervised.seen import first_filters, looked_at, saliency, salient


def corner(x: Tensor) -> Tensor:
    """Logits of two classes, by one pixel near the upper left corner."""
    return 10 * torch.stack([x[:, 0, 2, 3], -x[:, 0, 2, 3]], 1)


def test_covering_what_matters_makes_the_class_less_probable() -> None:
    images = torch.zeros(3, 1, 15, 15)
    images[0, 0, 2, 3], images[1, 0, 2, 3] = 1.0, -1.0
    found = saliency(corner, images)
    grey = images.mean((2, 3))[:, 0]
    before, after = (torch.stack([10 * x, -10 * x], 1).log_softmax(1) for x in (images[:, 0, 2, 3], grey))
    fallen = (before - after).gather(1, before.argmax(1, keepdim=True))[:, 0]
    assert torch.allclose(found[:2, 2, 3], fallen[:2])
    assert torch.equal(found[2], torch.zeros(15, 15)), "an image without anything depends on nothing"
    assert (found[:2] > 0.01).flatten(1).sum(1).tolist() == [9, 9], "the places of a 3x3 square that covers the pixel"
    assert (found[:2, 8:] == 0).all()


def test_what_matters_is_bright() -> None:
    images = torch.zeros(2, 3, 30, 40)
    images[:, 0, 2, 3] = 1.0
    assert saliency(corner, images).shape == (2, 30, 40)
    assert np.asarray(salient(corner, images).convert("L")).max() == 255


def test_filters_are_drawn_where_there_are_any() -> None:
    convolution = nn.Conv2d(1, 4, 3)
    with torch.no_grad():
        convolution.weight.zero_()
        convolution.weight[0, 0, 0, 0] = 2.0
    picture = first_filters(nn.Sequential(convolution), 1)
    assert picture is not None
    greys = np.asarray(picture.convert("L"))
    assert (greys == 255).sum() > 50, "the largest weight is white, beside the heading"
    assert (greys == 128).sum() > 1_000, "zeros are grey"
    assert first_filters(nn.Linear(4, 4), 1) is None
    assert first_filters(nn.Conv2d(3, 4, 1), 3) is None, "one pixel is no filter to look at"


def test_five_channels_are_no_colours() -> None:
    assert looked_at(corner, nn.Conv2d(5, 4, 3), torch.rand(2, 5, 8, 8)) == {}
    assert looked_at(corner, nn.Conv2d(3, 4, 3), torch.rand(2, 3, 8, 8)).keys() == {"saliency", "filters"}
