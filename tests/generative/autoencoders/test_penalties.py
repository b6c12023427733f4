"""Penalties agree with closed forms and with the Jacobian that autograd computes in full."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from generative.autoencoders import ContractiveAutoencoder, SparseAutoencoder
from generative.autoencoders.penalties import (
    estimated_jacobian,
    exact_jacobian,
    layer_jacobian,
    sparsity_kl,
    sparsity_l1,
)
from lab.data.batch import Batch
from lab.data.spec import DataSpec, InputSpec
from lab.encoders import MLP
from lab.errors import ConfigError

SPEC = DataSpec(InputSpec((1, 3, 4)))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.SiLU(), nn.Linear(8, 5), nn.Tanh())


def by_autograd(encode: Any, x: Tensor) -> Tensor:
    """The squared norm of each image's Jacobian, one image at a time."""
    return torch.stack([torch.func.jacrev(encode)(one[None]).square().sum() for one in x])


def test_exact_jacobian_is_autograds() -> None:
    encode, x = network(), torch.rand(6, 1, 3, 4)
    assert torch.allclose(exact_jacobian(encode, x), by_autograd(encode, x), rtol=1e-5)


def test_estimate_has_the_exact_mean() -> None:
    encode, x = network(), torch.rand(4, 1, 3, 4)
    with torch.no_grad():
        single = torch.stack([estimated_jacobian(encode, x) for _ in range(400)])
        exact = exact_jacobian(encode, x)
        error = (single.mean(0) - exact).abs()
        assert (error < 4 * single.std(0) / math.sqrt(len(single)) + 1e-6).all()
        assert single.std(0).min() > 0.05 * exact.min(), "one probe is an estimate"
        many = estimated_jacobian(encode, x, probes=400)
    assert torch.allclose(many, exact, rtol=0.15)


@pytest.mark.parametrize("activation", ["linear", "sigmoid", "tanh"])
def test_one_layer_has_a_closed_form(activation: Any) -> None:
    model = ContractiveAutoencoder(SPEC, encoder=partial(MLP, hidden=[]), latent_dim=5, activation=activation)
    x = torch.rand(6, 1, 3, 4)
    assert torch.allclose(model.jacobian(x, model.encode(x)), by_autograd(model.encode, x), rtol=1e-4)


def test_gradient_of_the_estimate_contracts() -> None:
    """The penalty of a deep encoder has a gradient by its weights, and following it makes the Jacobian smaller."""
    torch.manual_seed(0)
    model = ContractiveAutoencoder(SPEC, encoder=partial(MLP, hidden=[8], activation="silu"), latent_dim=5, probes=4)
    x = torch.rand(32, 1, 3, 4)
    before = exact_jacobian(model.encode, x).mean().item()
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    for _ in range(20):
        optimizer.zero_grad()
        model.penalty(x, model.encode(x)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert exact_jacobian(model.encode, x).mean().item() < 0.7 * before


def test_penalties_need_no_gradients_in_evaluation() -> None:
    model = ContractiveAutoencoder(SPEC, encoder=partial(MLP, hidden=[8]), latent_dim=5)
    with torch.inference_mode():
        assert model.losses(Batch(torch.rand(4, 1, 3, 4)))["penalty"] > 0


def test_contraction_refuses_batch_norm() -> None:
    with pytest.raises(ConfigError, match="without batch norm"):
        ContractiveAutoencoder(SPEC, encoder=partial(MLP, hidden=[8], batch_norm=True), latent_dim=5)


def test_kl_of_shares() -> None:
    code = torch.tensor([[0.1, 0.5], [0.3, 0.9]])  # means 0.2 and 0.7
    expected = 0.2 * math.log(0.2 / 0.7) + 0.8 * math.log(0.8 / 0.3)
    assert sparsity_kl(code, 0.2).item() == pytest.approx(expected, rel=1e-4)


def test_l1_of_codes() -> None:
    assert sparsity_l1(torch.tensor([[1.0, -2.0], [0.0, 4.0]])).item() == pytest.approx(3.5)


def test_kl_needs_a_sigmoid() -> None:
    with pytest.raises(ConfigError, match="needs the activation sigmoid"):
        SparseAutoencoder(SPEC, encoder=partial(MLP, hidden=[4]), activation="tanh", sparsity="kl")


def test_layer_jacobian_of_a_linear_map() -> None:
    weight = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    assert layer_jacobian(weight, torch.tensor([[1.0, 1.0], [0.5, 0.0]])).tolist() == pytest.approx([29.0, 6.25])
