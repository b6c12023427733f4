"""A stalled game between two networks is noticed."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from generative.gan.gan import GAN
from generative.gan.signs import complaints, diversity, told_apart
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import Conv, ConvStage


def test_pairs_are_told_apart_as_by_the_roc_curve() -> None:
    real, fake = torch.tensor([[3.0], [1.0]]), torch.tensor([[2.0], [1.0], [0.0]])
    assert told_apart(real, fake).item() == pytest.approx((3 + 1.5) / 6)
    assert told_apart(real, real).item() == 0.5
    assert told_apart(real, fake - 10).item() == 1


def test_diversity_is_one_for_real_images_and_none_for_one_image() -> None:
    real = torch.rand(8, 1, 4, 4)
    assert diversity(real, real).item() == pytest.approx(1)
    assert diversity(real[:1].expand(8, -1, -1, -1), real).item() == pytest.approx(0, abs=1e-6)
    assert diversity(0.5 * real, real).item() == pytest.approx(0.5)


def test_healthy_games_are_not_complained_of() -> None:
    assert not list(complaints(told_apart=0.9, diversity=0.8))
    (collapsed,) = complaints(told_apart=0.9, diversity=0.1)
    assert "10%" in collapsed
    assert not list(complaints(told_apart=1.0, diversity=0.8, saturates=False))
    (saturated,) = complaints(told_apart=1.0, diversity=0.8)
    assert "100.0% of the pairs" in saturated


def test_collapse_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A generator without weights on its noise draws one image for all of it."""
    gan = GAN(DataSpec(InputSpec((1, 8, 8)), Classes(2)), encoder=partial(Conv, stages=(ConvStage(4, stride=2),)))
    for module in gan.generator.modules():
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.weight)
    for _ in range(2):
        fake, real = gan.generate(8).detach(), torch.rand(8, 1, 8, 8)
        gan.signs.append(torch.stack([torch.tensor(0.9), diversity(fake, real)]))
        gan.on_train_epoch_end()
    assert capsys.readouterr().err.count("has collapsed") == 1
