"""Images drawn from a part of them: what is given, what is kept of it, and two networks side by side."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from generative.gan import Hole, Outlines, Pix2Pix
from generative.gan.drawn import figures
from generative.gan.parts import spread
from lab.data import Batch
from lab.data.spec import DataSpec, InputSpec
from lab.encoders import Conv, ConvStage
from lab.errors import ConfigError
from lab.nn.unet import UNet

SPEC = DataSpec(InputSpec((1, 12, 12)), classes=3)
TINY: dict[str, Any] = {
    "encoder": partial(Conv, stages=(ConvStage(4, stride=2), ConvStage(6, stride=2)), activation="leaky_relu"),
    "network": partial(UNet, channels=[8], patch=2),
    "judged": False,
}


def boxes(count: int) -> Tensor:
    """Filled boxes at different places, `(count, 1, 12, 12)`."""
    place, first = torch.arange(12.0), torch.randint(1, 6, (2, count, 1))
    down, across = ((place >= one) & (place < one + 5) for one in first)
    inside: Tensor = down[:, :, None] & across[:, None]
    return inside.float().unsqueeze(1)


def test_outlines_lie_around_strokes() -> None:
    x = torch.zeros(1, 1, 5, 6)
    x[0, 0, 2, 2:4] = 0.8
    expected = torch.zeros(5, 6)
    expected[1:4, 1:5] = 1
    expected[2, 2:4] = 0
    assert torch.equal(Outlines()(x)[0, 0], expected)
    assert torch.equal(Outlines()(x * 0.5), torch.zeros_like(x)), "what is grey has no outline"


def test_hole_is_a_square_anywhere() -> None:
    x = torch.rand(300, 1, 7, 9) + 0.1
    part = Hole(3)
    given = part(x, torch.Generator().manual_seed(0))
    known, missing = given[:, :1], given[:, 1:]
    assert torch.equal(missing.sum((1, 2, 3)), torch.full((300,), 9.0))
    assert torch.equal(known, x * (1 - missing))
    places = {tuple(one[0].nonzero()[0].tolist()) for one in missing}
    assert places == {(row, column) for row in range(5) for column in range(7)}
    again = part(x, torch.Generator().manual_seed(0))
    assert torch.equal(given, again)


def test_completed_images_keep_what_is_known() -> None:
    x, part = torch.rand(4, 1, 8, 8), Hole(4)
    given = part(x)
    made = part.completed(torch.full_like(x, 0.3), given)
    inside = given[:, 1:] == 1
    assert torch.equal(made[~inside], x[~inside])
    assert torch.equal(made[inside], torch.full((4 * 16,), 0.3))
    assert torch.equal(part.completed(x, given), x)


def test_spreading_solves_laplace() -> None:
    """A slope is its own mean, so it is found again, and nothing else changes."""
    x = (torch.arange(9.0) / 9).expand(1, 1, 9, 9)
    given = torch.cat([x, torch.zeros_like(x)], 1)
    given[:, 1, 3:6, 2:6] = 1
    given[:, 0] *= 1 - given[:, 1]
    assert torch.allclose(spread(given), x, atol=1e-3)


def test_hole_must_fit() -> None:
    with pytest.raises(ConfigError, match=r"model\.part\.side must be less than the images' 12 x 12 pixels, rec"):
        Pix2Pix(SPEC, part=Hole(12), **TINY)


def test_patches_are_scored_with_what_is_given() -> None:
    model = Pix2Pix(SPEC, part=Hole(4), **TINY)
    x = boxes(5)
    given = model.given(x)
    assert model.score(x, given).shape == (5, 1, 3, 3)
    assert not torch.allclose(model.score(x, given), model.score(x, given.flip(2)))


@pytest.mark.parametrize("part", [Outlines(), Hole(4)])
def test_both_networks_learn_to_draw(part: Any) -> None:
    torch.manual_seed(0)
    model = Pix2Pix(SPEC, part=part, **TINY)
    model.total_steps = steps = 40
    optimizers, _ = model.configure_optimizers()
    for optimizer in optimizers:
        optimizer.param_groups[0]["lr"] = 1e-2
    model.optimizers, model.lr_schedulers = lambda: optimizers, list  # type: ignore[method-assign, assignment]
    model.manual_backward = lambda loss, inputs: loss.backward(inputs=inputs)  # type: ignore[method-assign, misc]
    told = [model.training_step(Batch(boxes(16)), 0) for _ in range(steps)]
    assert ["game_loss" in one for one in told] == [False] * 20 + [True] * 20
    batches = [Batch(boxes(100), torch.zeros(100, dtype=torch.long))]

    def quality(way: Any) -> float:
        numbers = torch.Generator().manual_seed(0)
        return figures(way, batches, lambda x: model.given(x, numbers), None)["psnr"]

    simple = max(quality(way) for way in model.ways().values())
    with torch.no_grad():
        assert min(quality(model), quality(model.alone)) > simple + 1
        given = model.given(boxes(5))
        assert not torch.equal(model(given), model.alone(given))
