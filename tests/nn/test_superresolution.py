"""The super-resolution network enlarges by powers of 2, and learns what a small image leaves open."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lab.errors import ConfigError
from lab.nn.superresolution import SuperResolution


@pytest.mark.parametrize("factor", [2, 4])
def test_size_grows_by_the_factor(factor: int) -> None:
    made = SuperResolution(3, factor=factor, filters=4, blocks=1)(torch.randn(2, 3, 5, 6))
    assert made.shape == (2, 3, 5 * factor, 6 * factor)


@pytest.mark.parametrize("factor", [1, 3, 6])
def test_other_factors_are_refused(factor: int) -> None:
    with pytest.raises(ConfigError, match=f"by a power of 2, such as 2 or 4, received {factor}"):
        SuperResolution(1, factor=factor)


def test_network_begins_with_cubic_curves() -> None:
    x = torch.rand(2, 1, 5, 5)
    made = SuperResolution(1, factor=4, filters=4, blocks=1)(x)
    assert torch.allclose(made, F.interpolate(x, scale_factor=4, mode="bicubic"))


def test_pixels_keep_their_place() -> None:
    """By gradients: a pixel depends on the small pixel that it lies in, and on no distant one."""
    network = SuperResolution(1, factor=2, filters=4, blocks=1, activation="silu").double()
    torch.nn.init.normal_(network.output.weight)
    small = torch.randn(1, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(network(small)[0, 0, 6, 20], small)
    seen = slope[0, 0].abs() > 0
    assert seen[3, 10]
    rows, columns = seen.any(1).nonzero()[:, 0], seen.any(0).nonzero()[:, 0]
    assert rows.max() - 3 <= 6
    assert 4 <= columns.min() < 10 < columns.max() <= 16


def test_network_learns_straight_edges() -> None:
    """Images with one straight edge: their small versions tell where it is, which cubic curves do not show."""
    torch.manual_seed(0)
    place = torch.arange(16.0)

    def images(count: int) -> torch.Tensor:
        slant, shift = torch.rand(count, 1, 1) - 0.5, 4 + 8 * torch.rand(count, 1, 1)
        return (place[None, None] > shift + slant * (place[None, :, None] - 8)).float().unsqueeze(1)

    network = SuperResolution(1, factor=4, filters=8, blocks=1)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(100):
        x = images(32)
        loss = F.mse_loss(network(F.avg_pool2d(x, 4)), x)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    x = images(100)
    curves = F.interpolate(F.avg_pool2d(x, 4), scale_factor=4, mode="bicubic")
    assert F.mse_loss(network(F.avg_pool2d(x, 4)), x) < 0.7 * F.mse_loss(curves, x)
