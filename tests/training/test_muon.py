"""Muon moves matrices as PyTorch's does, and everything else as Adam does."""

from __future__ import annotations

from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import nn

from lab.training.muon import MuonAdam, orthogonalised


def moved(make: object, weights: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Where an optimizer takes weights whose gradient is their own noisy copy."""
    torch.manual_seed(1)
    parameter = nn.Parameter(weights.clone())
    optimizer = make([parameter])  # type: ignore[operator]
    for _ in range(steps):
        parameter.grad = parameter.detach() + 0.1 * torch.randn_like(parameter)
        optimizer.step()
    return parameter.detach()


def test_vectors_move_as_by_adamw() -> None:
    weights = torch.randn(7)
    expected = moved(partial(torch.optim.AdamW, lr=1e-2, weight_decay=0.1), weights)
    assert torch.allclose(moved(partial(MuonAdam, lr=1e-2, weight_decay=0.1), weights), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 6), (4, 12), (12, 4)])
def test_matrices_move_as_by_the_reference(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    weights = torch.randn(shape)
    reference = partial(torch.optim.Muon, lr=1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    ours = moved(partial(MuonAdam, lr=1e-2, weight_decay=0.1), weights)
    expected = moved(reference, weights)
    distance = (ours - expected).norm() / (expected - weights).norm()
    assert distance < 0.03, "both calculate in about three digits"


def test_singular_values_become_one() -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalised(torch.randn(20, 30)))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_filters_are_rows() -> None:
    torch.manual_seed(0)
    filters = torch.randn(8, 3, 2, 2)
    as_rows = moved(partial(MuonAdam, lr=1e-2), filters.flatten(1), steps=1)
    assert torch.allclose(moved(partial(MuonAdam, lr=1e-2), filters, steps=1).flatten(1), as_rows, atol=1e-2)


def test_state_resumes() -> None:
    torch.manual_seed(0)
    net, data = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)), torch.randn(16, 4)

    def train(net: nn.Module, optimizer: MuonAdam, steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            torch.autograd.backward(net(data).square().mean())
            optimizer.step()

    optimizer = MuonAdam(net.parameters())
    train(net, optimizer, 3)
    weights, state = {k: v.clone() for k, v in net.state_dict().items()}, deepcopy(optimizer.state_dict())
    again = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    again.load_state_dict(weights)
    resumed = MuonAdam(again.parameters())
    resumed.load_state_dict(state)
    train(net, optimizer, 3)
    train(again, resumed, 3)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))
