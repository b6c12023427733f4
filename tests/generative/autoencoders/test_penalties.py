"""Penalties agree with closed forms and with the Jacobian that autograd computes in full."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from generative.autoencoders import Autoencoder, ContractiveAutoencoder, SparseAutoencoder
from generative.autoencoders.penalties import (
    estimated_jacobian,
    exact_jacobian,
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


def test_one_layer_has_the_papers_closed_form() -> None:
    """Section 5.1 of Rifai et al. 2011: a sigmoid layer on the pixels, as in the paper."""
    torch.manual_seed(0)
    settings: Any = {"encoder": partial(MLP, hidden=[]), "activation": "sigmoid", "probes": 4_000, "weight": 0.5}
    model = ContractiveAutoencoder(SPEC, latent_dim=5, **settings)
    x = torch.rand(6, 1, 3, 4)
    layer, code = model.code[0], model.encode(x)
    assert isinstance(layer, nn.Linear)
    slopes = (code * (1 - code)).square()  # (B, Z)
    assert torch.allclose(exact_jacobian(model.encode, x), slopes @ layer.weight.square().sum(1), rtol=1e-4)
    felt = slopes @ (layer.weight.square().sum(1) * model.felt(torch.ones(5)).square())
    assert model.penalty(x, code).item() == pytest.approx(0.5 * felt.mean().item(), rel=0.02)


def test_gradient_of_the_estimate_contracts() -> None:
    """The penalty of a deep encoder has a gradient by its weights, and following it makes the code less sensitive."""
    torch.manual_seed(0)
    model = ContractiveAutoencoder(SPEC, encoder=partial(MLP, hidden=[8], activation="silu"), latent_dim=5, probes=4)
    x = torch.rand(32, 1, 3, 4)

    def sensed() -> float:
        return exact_jacobian(lambda x: model.felt(model.encode(x)), x).mean().item()

    before = sensed()
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    for _ in range(20):
        optimizer.zero_grad()
        model.penalty(x, model.encode(x)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert sensed() < 0.7 * before


def test_penalties_need_no_gradients_in_evaluation() -> None:
    model = ContractiveAutoencoder(SPEC, encoder=partial(MLP, hidden=[8]), latent_dim=5)
    with torch.inference_mode():
        assert model.losses(Batch(torch.rand(4, 1, 3, 4)))["penalty"] > 0


def test_contraction_refuses_batch_norm() -> None:
    with pytest.raises(ConfigError, match="without batch norm"):
        ContractiveAutoencoder(SPEC, encoder=partial(MLP, hidden=[8], batch_norm=True), latent_dim=5)


def shrink(model: Autoencoder) -> None:
    """Let the code shrink, and the decoder's weights on it grow by as much. Images stay as they are."""
    first = next(part for part in model.decoder.modules() if isinstance(part, nn.Linear))
    with torch.no_grad():
        model.code[0].get_parameter("weight").mul_(0.1)
        model.code[0].get_parameter("bias").mul_(0.1)
        first.weight.mul_(10)


def test_contraction_is_not_escaped_by_shrinking() -> None:
    torch.manual_seed(0)
    model, x = ContractiveAutoencoder(SPEC, encoder=partial(MLP, hidden=[8]), latent_dim=5), torch.rand(6, 1, 3, 4)

    def found() -> tuple[Tensor, Tensor]:
        torch.manual_seed(1)
        return model(x), model.penalty(x, model.encode(x))

    image, penalty = found()
    shrink(model)
    assert all(torch.allclose(*pair, rtol=1e-4) for pair in zip(found(), (image, penalty), strict=True))
    assert penalty > 0


def test_a_sparse_code_that_shrinks_is_lost_in_noise() -> None:
    torch.manual_seed(0)
    model = SparseAutoencoder(SPEC, encoder=partial(MLP, hidden=[8]), latent_dim=5)
    batch = Batch(torch.rand(200, 1, 3, 4), torch.zeros(200))
    before, seen = model.losses(batch), model.eval()(batch.inputs)
    shrink(model)
    assert torch.allclose(model(batch.inputs), seen, rtol=1e-4), "outside training nothing is added"
    after = model.train().losses(batch)
    assert after["penalty"] == pytest.approx(0.1 * before["penalty"].item(), rel=1e-3)
    assert after["error"] > 1.5 * before["error"]


def test_sparsity_by_hand() -> None:
    model = SparseAutoencoder(SPEC, encoder=partial(MLP, hidden=[4]), latent_dim=2, weight=0.5)
    code = torch.tensor([[1.0, -2.0], [0.0, 4.0]])
    assert model.penalty(torch.zeros(2, 1, 3, 4), code).item() == pytest.approx(0.5 * (3 + 4) / 2)
