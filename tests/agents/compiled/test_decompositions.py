"""Operations as compiled programs compute them are torch's, within rounding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from agents.compiled.decompositions import FEW_COLUMNS, adam, layer, product, tanh


def test_tanh_is_torchs() -> None:
    sizes = torch.logspace(-30, 2, 100_000)
    x = torch.cat([sizes, -sizes])
    exact = x.double().tanh()
    assert ((tanh(x) - exact) / exact).abs().max() < 4e-7
    assert tanh(x).abs().max() <= 1, "1 - tanh(x)^2 is the derivative, and not negative"


def test_tanh_keeps_what_is_no_number() -> None:
    x = torch.tensor([0.0, -0.0, torch.inf, -torch.inf, torch.nan])
    torch.testing.assert_close(tanh(x)[:4], x[:4].tanh())
    assert tanh(x)[4].isnan()


def test_other_types_keep_torchs_tanh() -> None:
    assert tanh(torch.ones(1, dtype=torch.float64)) is NotImplemented


@pytest.mark.parametrize("columns", [1, FEW_COLUMNS, FEW_COLUMNS + 1])
def test_products_are_torchs(columns: int) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(32, 64).t(), torch.randn(32, columns)
    found: Any = product(a, b)
    if columns > FEW_COLUMNS:
        assert found is NotImplemented
    else:
        torch.testing.assert_close(found, a @ b)


def test_layers_are_torchs() -> None:
    torch.manual_seed(0)
    bias, a, b = torch.randn(16), torch.randn(32, 8), torch.randn(8, 16)
    torch.testing.assert_close(layer(bias, a, b), torch.addmm(bias, a, b))
    assert layer(bias, a, b, beta=0.5) is NotImplemented


def test_adam_is_torchs() -> None:
    torch.manual_seed(0)
    ours = [torch.randn(5, 3), torch.randn(3)]
    theirs = [nn.Parameter(x.clone()) for x in ours]
    torchs = torch.optim.Adam(theirs, lr=0.02, betas=(0.8, 0.9999), eps=1e-5, fused=True)
    means, squares = ([torch.zeros_like(x) for x in ours] for _ in range(2))
    steps = [torch.zeros(()) for _ in ours]
    for _ in range(10):
        gradients: list[Tensor] = [torch.randn_like(x) for x in ours]
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient.clone()
        torchs.step()
        for step in steps:
            step += 1
        settings: dict[str, Any] = {"lr": 0.02, "beta1": 0.8, "beta2": 0.9999, "eps": 1e-5}
        adam(ours, gradients, means, squares, [], steps, weight_decay=0, amsgrad=False, maximize=False, **settings)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other.detach())
