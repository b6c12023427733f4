"""The gated PixelCNN sees the pixels before each pixel, and no others; drawing from it computes nothing twice."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from generative.autoregressive import raster
from generative.autoregressive.gated import GatedPixelCNN
from lab.errors import ConfigError

KINDS: list[dict[str, Any]] = [
    {},
    {"first_kernel": 3, "kernel": 5},
    {"dilations": (1, 2), "classes": 3},
    {"vocab": 4},
    {"vocab": 4, "dilations": (2,), "classes": 3},
    {"context": 2},
]


def network(*, seed: int = 0, **settings: Any) -> GatedPixelCNN:
    torch.manual_seed(seed)
    made = GatedPixelCNN(**{"filters": 4, "layers": 3} | settings).double()
    with torch.no_grad():
        for parameter in made.parameters():  # a network whose pixels depend much on one another
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made


def images(made: GatedPixelCNN, count: int, height: int, width: int) -> Tensor:
    if made.vocab:
        return torch.randint(made.vocab, (count, height, width))
    return torch.randint(2, (count, 1, height, width)).double()


def given(made: GatedPixelCNN, count: int, height: int, width: int) -> Tensor | None:
    """Classes or a map, where the network wants them."""
    if made.context:
        return torch.randn(count, made.context, height, width).double()
    return torch.arange(count) % made.classes if made.classes else None


@pytest.mark.parametrize("settings", KINDS, ids=str)
def test_pixels_see_those_before_them(settings: dict[str, Any]) -> None:
    """By gradients: a logit depends on all pixels before its own within reach, and on no other pixel."""
    made, (height, width) = network(**settings), (6, 6)
    embedded = made.embed(images(made, 1, height, width)).detach().requires_grad_()
    made.embed = lambda x: embedded  # type: ignore[method-assign]
    logits = made(embedded, given(made, 1, height, width)).sum(1)[0]
    for row, column in ((0, 0), (0, 3), (3, 0), (3, 5), (5, 2)):
        (slope,) = torch.autograd.grad(logits[row, column], embedded, retain_graph=True)
        seen = slope[0].abs().sum(0) > 0
        earlier = torch.arange(height * width).view(height, width) < row * width + column
        assert not (seen & ~earlier).any(), "a pixel that is not drawn yet is seen"
        if not settings:
            assert torch.equal(seen, earlier), "a pixel that is near and drawn is not seen"


@pytest.mark.parametrize("settings", [{}, {"vocab": 3, "classes": 2}], ids=str)
def test_probabilities_sum_to_one(settings: dict[str, Any]) -> None:
    made = network(**settings)
    every = torch.tensor(list(itertools.product(range(made.vocab or 2), repeat=6))).view(-1, 2, 3)
    x = every if made.vocab else every.unsqueeze(1).double()
    labels = torch.ones(len(x), dtype=torch.long) if made.classes else None
    assert made.nll(x, labels).neg().exp().sum().item() == pytest.approx(1)


def plain(made: GatedPixelCNN, start: Tensor, told: Tensor | None, first_row: int) -> Tensor:
    """Draw by computing the whole image for each pixel."""
    x = start.clone()
    height, width = x.shape[-2:]
    for row, column in itertools.product(range(first_row, height), range(width)):
        logits = made(x, told)[:, :, row, column] / 0.9
        if made.vocab:
            x[:, row, column] = torch.multinomial(logits.softmax(1), 1)[:, 0]
        else:
            x[:, 0, row, column] = torch.bernoulli(logits.sigmoid())[:, 0]
    return x


@pytest.mark.parametrize("first_row", [0, 4])
@pytest.mark.parametrize("settings", KINDS, ids=str)
def test_drawing_equals_the_plain_way(settings: dict[str, Any], first_row: int) -> None:
    made = network(**settings)
    start, told = images(made, 16, 8, 7), given(made, 16, 8, 7)
    with torch.no_grad():
        torch.manual_seed(1)
        expected = plain(made, start, told, first_row)
        torch.manual_seed(1)
        drawn = raster.draw(made, start, told, first_row=first_row, temperature=0.9)
    assert torch.equal(drawn, expected)
    assert torch.equal(drawn[..., :first_row, :], start[..., :first_row, :])
    assert not torch.equal(drawn, start)


def test_classes_change_the_image() -> None:
    made = network(classes=2)
    x = images(made, 1, 5, 5)
    one, other = (made.nll(x, torch.tensor([label])).item() for label in (0, 1))
    assert abs(one - other) > 0.01


def test_gated_learns_a_rule() -> None:
    """Each pixel is the one above its left neighbour: only the first row and column are left to chance."""
    torch.manual_seed(0)
    made = GatedPixelCNN(filters=8, layers=2, first_kernel=3)
    optimizer = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(80):
        x = torch.zeros(32, 1, 6, 6)
        x[:, :, 0], x[..., 0] = torch.randint(2, (32, 1, 6)).float(), torch.randint(2, (32, 1, 6)).float()
        for i in range(1, 6):
            x[:, :, i, 1:] = x[:, :, i - 1, :-1]
        loss = made.nll(x).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert 11 * math.log(2) < loss.item() < 11 * math.log(2) + 1


def test_even_kernels_are_refused() -> None:
    with pytest.raises(ConfigError, match="first_kernel must be an odd number of at least 3, received 4"):
        GatedPixelCNN(first_kernel=4)
