"""Doubly reparametrised gradients are those of the importance weighted bound, with less noise."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from generative.vae.doubly import PLAIN, DoublyReparametrised
from generative.vae.gaussians import log_mean_exp
from generative.vae.hierarchical import HierarchicalVAE
from generative.vae.importance import IWAE
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import MLP

SPEC = DataSpec(InputSpec((1, 2, 2)), Classes(3))
ENCODER = partial(MLP, hidden=[4], activation="tanh")
MODELS: dict[str, Callable[..., IWAE]] = {
    "one layer": partial(IWAE, latent_dim=2),
    "two layers": partial(HierarchicalVAE, latent_dim=1, lower_dim=2, hidden=(3,)),
}


def gradients(model: IWAE, x: Tensor, doubly: bool) -> dict[str, Tensor]:
    """One gradient for each image of `x`, the mean over them in each parameter, by either estimator."""
    model.zero_grad()
    paths = DoublyReparametrised() if doubly else PLAIN
    log_weights = model.log_weights(x, 5, None, paths)
    bound = paths.bound(log_weights) if isinstance(paths, DoublyReparametrised) else log_mean_exp(log_weights)
    torch.autograd.backward(bound.mean())
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", MODELS)
def test_both_estimators_have_one_mean(kind: str) -> None:
    torch.manual_seed(1)
    model = MODELS[kind](SPEC, encoder=ENCODER)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    x = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]]).expand(40_000, -1, -1, -1)
    plain, doubly = gradients(model, x, doubly=False), gradients(model, x, doubly=True)
    assert plain.keys() == doubly.keys()
    largest = max(gradient.abs().max().item() for gradient in plain.values())
    for name, gradient in plain.items():
        assert torch.allclose(gradient, doubly[name], atol=0.02 * largest), name


@pytest.mark.parametrize("kind", MODELS)
def test_posterior_at_its_best_has_no_noise(kind: str) -> None:
    """The decoder ignores the latents, and the posterior is the prior: all weights are equal, and each doubly
    reparametrised gradient of the posterior is zero, where the plain one is so in the mean alone."""
    torch.manual_seed(0)
    model = MODELS[kind](SPEC, encoder=ENCODER)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("encoder"):
                parameter.zero_()
    x = torch.ones(1, 1, 2, 2)
    assert gradients(model, x, doubly=False)["posterior.bias"].norm() > 1e-3
    noisy = gradients(model, x, doubly=True)
    assert all(noisy[name].norm() < 1e-6 for name in noisy if name.startswith(("posterior", "up")))


def test_bound_keeps_its_value() -> None:
    torch.manual_seed(0)
    log_weights = torch.randn(5, 3)
    assert torch.allclose(DoublyReparametrised().bound(log_weights), log_mean_exp(log_weights))
