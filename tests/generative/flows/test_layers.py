"""The layers of a flow are inverted exactly, and their determinants are those of their Jacobians."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
import torch
from torch import Tensor

from generative.flows.layers import ActNorm, Chain, Coupling, Invertible, Logit, Mixing, Squeeze
from generative.flows.multiscale import MultiScale
from generative.judges.bits import dequantised

Part = TypeVar("Part", bound=torch.nn.Module)

LAYERS: dict[str, Callable[[], Invertible]] = {
    "logit": lambda: Logit(0.05),
    "squeeze": Squeeze,
    "actnorm": lambda: ActNorm(4),
    "mixing": lambda: Mixing(4),
    "coupling": lambda: Coupling(4, 8),
    "chain": lambda: Chain([ActNorm(4), Mixing(4), Coupling(4, 8)]),
}


def jacobian(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the slopes of `function(x)` by `x`, `(*out, *x.shape)`."""
    found: Tensor = torch.autograd.functional.jacobian(function, x)  # type: ignore[no-untyped-call]
    return found


def stirred(module: Part, by: float = 0.2) -> Part:
    """Change all parameters a little, so that no layer is the identity."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=by)
    return module


@pytest.mark.parametrize("name", LAYERS)
def test_layer_is_inverted(name: str) -> None:
    layer, x = stirred(LAYERS[name]()), torch.rand(3, 4, 6, 4)
    z, _ = layer(x)
    assert z[0].numel() == x[0].numel()
    assert name == "squeeze" or not torch.allclose(z, x)
    assert torch.allclose(layer.inverse(z), x, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_determinant_is_that_of_the_jacobian(name: str) -> None:
    layer, x = stirred(LAYERS[name]()).double(), torch.rand(2, 4, 2, 2).double()
    log_det = layer(x)[1].expand(2)
    for image, found in zip(x, log_det, strict=True):
        slopes = jacobian(lambda one: layer(one[None])[0].flatten(), image)
        assert found.item() == pytest.approx(slopes.reshape(16, 16).slogdet().logabsdet.item(), abs=1e-6)


def test_coupling_changes_one_half_by_the_other() -> None:
    layer, x = stirred(Coupling(4, 8)), torch.rand(1, 4, 2, 2)
    z, _ = layer(x)
    assert torch.equal(z[:, :2], x[:, :2])
    slopes = jacobian(lambda one: layer(one)[0], x).view(4, 4, 4, 4)
    inner = slopes[2:, :, 2:].reshape(8, 8)
    assert torch.equal(inner, inner.diagonal().diag()), "a number of the other half depends on itself alone"
    assert slopes[2:, :, :2].any()


def test_whole_flow_has_the_determinant_of_its_jacobian() -> None:
    flow = stirred(MultiScale((1, 4, 4), levels=2, steps=2, hidden=8, margin=0.05)).double()
    image = torch.rand(1, 1, 4, 4).double()
    slopes = jacobian(lambda x: flow(x)[0].flatten(), image)
    expected = slopes.reshape(16, 16).slogdet().logabsdet.item()
    assert flow(image)[1].item() == pytest.approx(expected, abs=1e-6)


def test_whole_flow_is_inverted() -> None:
    flow, x = MultiScale((1, 28, 28), levels=2, steps=4, hidden=16, margin=0.05), torch.rand(5, 1, 28, 28)
    x[:, :, :14] = dequantised(torch.zeros(5, 1, 14, 28))
    flow.fit(x)
    stirred(flow, by=0.05)
    z, _ = flow(x)
    assert z.shape == (5, 784)
    assert (flow.inverse(z) - x).abs().max() < 1e-4


def test_fitted_flow_begins_standardised() -> None:
    torch.manual_seed(0)
    flow, x = MultiScale((1, 8, 8), levels=2, steps=2, hidden=8, margin=0.05), torch.rand(200, 1, 8, 8).square()
    flow.fit(x)
    z, _ = flow(x)
    assert abs(z.mean().item()) < 0.05
    assert z.square().mean().item() == pytest.approx(1, abs=0.05)


def test_actnorm_takes_mean_and_deviation() -> None:
    layer, x = ActNorm(3), 5 + 3 * torch.randn(50, 3, 4, 4)
    z = layer.fit(x)
    assert torch.allclose(z, layer(x)[0])
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(z.std((0, 2, 3)), torch.ones(3), atol=1e-3)
