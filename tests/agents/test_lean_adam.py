"""The lean step is torch's Adam, whatever way a gradient lies in memory."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from agents.acceleration.lean_adam import LeanAdam
from agents.networks.extractor import scaled


def test_a_convolutions_gradient_with_channels_last_is_paired_rightly() -> None:
    """torch's own fused Adam pairs numbers by their place in memory and goes astray here without a word."""
    torch.manual_seed(0)
    lean_net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.LazyLinear(2))
    images = torch.randint(256, (5, 3, 8, 8), dtype=torch.uint8)
    lean_net(scaled(images))
    plain_net = copy.deepcopy(lean_net)
    lean, plain = LeanAdam(lean_net.parameters(), fused=True), torch.optim.Adam(plain_net.parameters())
    for _ in range(4):
        end = lean_net(scaled(images))
        norm, *gradients = lean.gradient([end], [torch.ones_like(end)])
        lean.descend(norm, gradients, max_norm=1e9, where=lambda: "a test")
        plain.zero_grad()
        plain_net(images / 255).sum().backward()
        plain.step()
    for one, other in zip(lean_net.parameters(), plain_net.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_scaling_changes_neither_shape_nor_values() -> None:
    images = torch.randint(256, (2, 3, 4, 5), dtype=torch.uint8)
    torch.testing.assert_close(scaled(images), images.float() / 255, atol=0, rtol=0)
    torch.testing.assert_close(scaled(images[0]), images[0].float() / 255, atol=0, rtol=0)


def test_parameters_that_share_a_gradient_are_clipped_once() -> None:
    one, other = (torch.nn.Parameter(torch.zeros(3)) for _ in range(2))
    optimizer = LeanAdam([one, other], lr=0.1, fused=True)
    norm, *gradients = optimizer.gradient([one + other], [torch.full((3,), 10.0)])
    optimizer.descend(norm, gradients, 1.0, lambda: "a test")
    assert torch.linalg.vector_norm(torch.cat(gradients)) == pytest.approx(1.0, rel=1e-5)
