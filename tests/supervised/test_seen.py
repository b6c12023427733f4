"""Saliency is the gradient of what is predicted, and filters are drawn as they are."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from supervised.seen import first_filters, saliency, salient


def test_saliency_of_a_linear_score_is_its_weight() -> None:
    torch.manual_seed(0)
    weight, images = torch.randn(5, 2, 3, 4), torch.rand(6, 2, 3, 4)

    def score(x: Tensor) -> Tensor:
        return torch.einsum("bchw,kchw->bk", x, weight)

    with torch.no_grad():  # as where pictures are drawn
        found = saliency(score, images)
    chosen = weight[score(images).argmax(1)]
    assert torch.allclose(found, chosen.abs().amax(1))


def test_what_matters_is_bright() -> None:
    images = torch.full((2, 1, 8, 8), 0.5)
    images[1] = 0.25

    def score(x: Tensor) -> Tensor:
        return torch.stack([x[:, 0, 2, 5], -x[:, 0, 2, 5]], 1)

    found = saliency(score, images)
    assert (found > 0).sum() == 2
    assert (found[:, 2, 5] == 1).all()
    assert salient(score, images).width > 100


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
    assert first_filters(nn.Conv2d(5, 4, 3), 5) is None, "five channels are no colours"
    assert first_filters(nn.Conv2d(3, 4, 1), 3) is None, "one pixel is no filter to look at"
