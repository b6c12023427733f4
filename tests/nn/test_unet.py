"""The U-Net keeps the sides of its images, and heeds what it is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from lab.errors import ConfigError
from lab.nn.conditions import TimeAndClass
from lab.nn.unet import UNet

WIDTH = 16


def awake(network: UNet) -> UNet:
    """Give weights to the layers that begin at 0."""
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return network


@pytest.mark.parametrize("patch", [1, 2, 3])
@pytest.mark.parametrize("sides", [(28, 28), (8, 8), (7, 7), (5, 9), (1, 2)])
def test_sides_stay(sides: tuple[int, int], patch: int) -> None:
    network = awake(UNet(3, 2, channels=(8, 8, 16), patch=patch))
    made = network(torch.randn(2, 3, *sides))
    assert made.shape == (2, 2, *sides)
    assert made.std() > 0


@pytest.mark.parametrize("channels", [(8,), (8, 16), (16, 8, 8, 8)])
def test_any_number_of_resolutions_will_do(channels: Sequence[int]) -> None:
    network = awake(UNet(1, 1, 4, channels=channels, blocks=2, heads=2))
    assert network(torch.randn(2, 1, 12, 12), torch.randn(2, 4)).shape == (2, 1, 12, 12)


def test_result_begins_at_zero() -> None:
    assert not UNet(1, 1, channels=(8, 8))(torch.randn(2, 1, 8, 8)).any()


def test_each_image_is_by_itself() -> None:
    network, x = awake(UNet(1, 1, channels=(8, 8), heads=2)), torch.randn(3, 1, 8, 8)
    assert torch.allclose(network(x)[1:2], network(x[1:2]), atol=1e-5)


def seen_from(network: UNet, sides: int) -> Tensor:
    """Where the input changes the corner of the result, `(sides, sides)`."""
    x = torch.randn(1, 1, sides, sides, requires_grad=True)
    (slope,) = torch.autograd.grad(network(x)[0, 0, 0, 0], x)
    return slope[0, 0] != 0


def without_norms(network: UNet) -> UNet:
    """Take out the norms, through which all places see each other."""
    for part in list(network.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, torch.nn.GroupNorm):
                setattr(part, name, torch.nn.Identity())
    return network


def test_attention_sees_all_places() -> None:
    torch.manual_seed(0)
    blind, seeing = (without_norms(awake(UNet(1, 1, channels=(8, 8), heads=heads))) for heads in (0, 2))
    assert not seen_from(blind, 64).all()
    assert seen_from(seeing, 64).all()


def test_coarse_maps_see_further() -> None:
    torch.manual_seed(0)
    flat, deep = (without_norms(awake(UNet(1, 1, channels=(8,) * levels))) for levels in (1, 3))
    assert seen_from(deep, 64).sum() > 2 * seen_from(flat, 64).sum()


def test_time_and_class_matter() -> None:
    torch.manual_seed(0)
    conditions, network = TimeAndClass(3, WIDTH), awake(UNet(1, 1, WIDTH, channels=(8, 8)))
    x = torch.randn(1, 1, 8, 8).expand(4, -1, -1, -1)
    time, labels = torch.tensor([0.2, 0.2, 0.201, 0.2]), torch.tensor([1, 2, 1, conditions.none])
    first, *others = network(x, conditions(time, labels))
    for other in others:
        assert (first - other).abs().max() > 1e-3


def test_times_between_steps_are_told_apart() -> None:
    conditions = TimeAndClass(2, WIDTH)
    told = conditions(torch.linspace(0, 1, 1_001), torch.zeros(1_001, dtype=torch.long))
    assert told.shape == (1_001, WIDTH)
    apart = torch.cdist(told, told) + torch.eye(1_001)
    assert apart.min() > 1e-4


@pytest.mark.parametrize(("channels", "told"), [((), "received none"), ((8, 12), "divisible by its 8 groups")])
def test_wrong_channels_are_refused(channels: Sequence[int], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        UNet(1, 1, channels=channels)
