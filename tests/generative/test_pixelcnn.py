"""The PixelCNN learns images; the models of pixels beside it have their exact likelihoods."""

from __future__ import annotations

import math

import pytest
import torch

from generative.autoregressive.pixelcnn import PixelCNN
from generative.judges.pixels import independent_pixels, nearby_pixels, with_context
from lab.data.spec import DataSpec, InputSpec
from lab.errors import ConfigError
from tests.generative.boards import Boards

CPU = torch.device("cpu")


def small() -> PixelCNN:
    torch.manual_seed(0)
    return PixelCNN(DataSpec(InputSpec((1, 6, 6))), filters=8, layers=2, first_kernel=3)


def test_pixelcnn_learns_boards() -> None:
    """Of a chessboard, only the first field is left to chance; what is drawn is a chessboard."""
    data, model = Boards(), small()
    data.prepare()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for epoch in range(6):
        for batch in data.train(CPU, epoch):
            loss = model.losses(batch)["loss"]
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    assert math.log(2) < loss.item() < math.log(2) + 0.5
    with torch.no_grad():
        drawn = model.generate(20).round()
    boards = {tuple(board.flatten().tolist()) for board in data.boards[:2]}
    right = sum(tuple(board.flatten().tolist()) in boards for board in drawn)
    assert right >= 10


def test_completions_keep_the_upper_half() -> None:
    model = small()
    drawn = model.completions(torch.ones(3, 1, 6, 6))
    assert drawn.shape == (4, 3, 1, 6, 6)
    assert (drawn[..., :3, :] == 1).all()
    assert set(drawn[..., 3:, :].flatten().tolist()) == {0, 1}


def test_colours_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs images with one channel, but these have 3"):
        PixelCNN(DataSpec(InputSpec((3, 6, 6))))


def test_contexts_are_the_pixels_nearby() -> None:
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    found = with_context(x).view(5, 5)
    assert found[2, 2] == 1, "the pixel itself"
    assert found[2, 3] == 2, "on the left"
    assert found[2, 4] == 4
    assert found[4, 2] == 2 << 8, "two rows above"
    assert found[4, 3] == 2 << 9
    assert found[4, 4] == 0
    assert (found[:2] == 0).all()
    assert (found[2, :2] == 0).all()


def test_counts_have_their_closed_form() -> None:
    """The first field is like no other pixels; so is the second where the first is 0: 1 follows 2 of 3 times."""
    data = Boards()
    data.prepare()
    found = nearby_pixels(data, CPU)["counts of ten pixels nearby"]["test/nll"]
    first, second = (math.log(3) + math.log(1.5)) / 2, math.log(1.5) / 2
    assert found == pytest.approx(first + second, abs=0.05)


def test_independent_pixels_have_their_closed_form() -> None:
    data = Boards()
    data.prepare()
    found = independent_pixels(data, CPU)["independent pixels"]["test/nll"]
    assert found == pytest.approx(36 * math.log(2), rel=1e-3)
