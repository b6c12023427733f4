"""The layers of a flow are inverted exactly, and their determinants are those of their Jacobians."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from generative.flows.baselines import gaussian_bits
from generative.flows.layers import ActNorm, Chain, Coupling, Invertible, Logit, Mixing, Squeeze
from generative.flows.multiscale import MultiScale
from generative.flows.realnvp import RealNVP, arc
from generative.judges.bits import bits_per_dim, dequantised, independent_bits
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec, InputSpec
from lab.errors import ConfigError

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


def test_error_of_the_inverse_is_measured() -> None:
    torch.manual_seed(0)
    model = RealNVP(DataSpec(InputSpec((1, 8, 8))), fid_samples=None, hidden=8, steps=2)
    errors = []
    for broken in (False, True):
        if broken:
            model.flow.inverse = lambda z: torch.full((len(z), 1, 8, 8), 2.0)  # type: ignore[method-assign]
        metrics = model.metrics()
        losses = model.measure(Batch(torch.rand(4, 1, 8, 8)), metrics)
        errors.append(metrics["inverse_error"].compute().item())
    assert losses["bits_per_dim"].isfinite()
    assert errors[0] < 1e-4
    assert 1 < errors[1] <= 2


def test_likelihood_before_training_in_closed_form() -> None:
    """Couplings begin as the identity and mixtures as rotations: the logits are N(0, I)."""
    torch.manual_seed(0)
    model, x = RealNVP(DataSpec(InputSpec((1, 8, 8))), fid_samples=None, hidden=8, steps=3), torch.rand(4, 1, 8, 8)
    inner = 0.05 + 0.9 * x
    logits = (inner / (1 - inner)).log()
    slope = (0.9 / (inner * (1 - inner))).log()
    expected = (slope - 0.5 * logits.square() - 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)
    assert torch.allclose(model(x)[1], expected, rtol=1e-5)


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


@pytest.mark.parametrize("settings", [{"levels": 3}, {"margin": 0.5}])
def test_unfit_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="received"):
        RealNVP(DataSpec(InputSpec((1, 12, 12))), fid_samples=None, **settings)  # type: ignore[arg-type]


def test_grey_level_stays_with_its_noise() -> None:
    images = torch.arange(256).view(-1, 1) / 255
    x = dequantised(images.expand(-1, 50))
    assert torch.equal((256 * x).floor().long(), torch.arange(256).view(-1, 1).expand(-1, 50))
    assert x.std(1).mean().item() == pytest.approx(1 / 256 / math.sqrt(12), rel=0.05)


def test_uniform_density_needs_eight_bits() -> None:
    assert bits_per_dim(torch.zeros(3), 784).tolist() == [8.0] * 3


class Noise(DataModule):
    """Two pixels: one is black in three of four images, else of level 1, and the other is always white."""

    def __init__(self) -> None:
        self.spec = DataSpec(InputSpec((1, 1, 2)))
        first = (torch.arange(8_000) % 4 == 0).float() / 255
        self.images = torch.stack([first, torch.ones(8_000)], 1).view(-1, 1, 1, 2)

    def prepare(self) -> None: ...

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> list[Batch]:  # type: ignore[override]
        return Whole([Batch(part) for part in torch.split(self.images, 1_000)])

    def validation(self, device: torch.device) -> None: ...

    def test(self, device: torch.device) -> list[Batch]:  # type: ignore[override]
        return Whole([Batch(self.images)])


class Whole(list[Batch]):
    """Batches that need no position."""

    def state_dict(self) -> dict[str, int]:
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None: ...


CPU = torch.device("cpu")


def test_independent_pixels_need_their_entropy() -> None:
    entropy = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert independent_bits(Noise(), CPU) == pytest.approx(entropy / 2, rel=0.01)


def test_one_gaussian_has_its_exact_density() -> None:
    data, logit = Noise(), Logit(0.05)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        x, log_det = logit(dequantised(data.images))
    rows = x.flatten(1).double()
    expected = MultivariateNormal(rows.mean(0), rows.T.cov()).log_prob(rows) + log_det  # type: ignore[no-untyped-call]
    assert gaussian_bits(data, logit, CPU) == pytest.approx(bits_per_dim(expected, 2).mean().item(), abs=0.03)


def test_model_begins_with_standardised_examples() -> None:
    data = Noise()
    data.images = torch.rand(1_500, 1, 4, 4).square()
    models = [RealNVP(DataSpec(InputSpec((1, 4, 4))), hidden=8, steps=2, fid_samples=None) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    for model in models:
        model.adapt(data)
    for first, second in zip(models[0].state_dict().values(), models[1].state_dict().values(), strict=True):
        assert torch.equal(first, second), "what it takes follows from the examples alone"
    z, _ = models[0].flow(dequantised(data.images))
    assert abs(z.mean().item()) < 0.05
    assert z.square().mean().item() == pytest.approx(1, abs=0.05)


def test_temperature_is_the_deviation_of_the_latents() -> None:
    samples = {}
    for temperature in (0.005, 0.5):  # no pixel becomes black or white
        torch.manual_seed(0)
        model = RealNVP(DataSpec(InputSpec((1, 4, 4))), hidden=8, steps=2, temperature=temperature, fid_samples=None)
        samples[temperature] = model.flow(model.generate(100))[0]
    assert torch.allclose(samples[0.005], 0.01 * samples[0.5], atol=1e-4)


def test_latents_on_an_arc_are_as_long_as_at_its_ends() -> None:
    first, last = torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.0, 3.0], [2.0, 0.0]])
    points = arc(first, last, 5)
    assert points.shape == (2, 5, 2)
    assert torch.allclose(points[:, 0], first, atol=1e-6)
    assert torch.allclose(points[:, -1], last, atol=1e-6)
    assert torch.allclose(points.norm(dim=2), torch.tensor([[3.0], [2.0]]).expand(2, 5))


def test_flow_learns_what_pixels_have_in_common() -> None:
    """All pixels of an image are of the same grey level, and all levels are as frequent: a pixel by itself needs eight
    bits."""
    torch.manual_seed(0)
    model = RealNVP(DataSpec(InputSpec((1, 4, 4))), levels=1, steps=2, hidden=8, fid_samples=None)

    def images(count: int) -> Tensor:
        return torch.randint(256, (count, 1, 1, 1)).expand(-1, 1, 4, 4) / 255

    model.flow.fit(dequantised(images(500)))
    optimizer, losses = torch.optim.Adam(model.parameters(), 1e-2), []
    for _ in range(100):
        loss = model.losses(Batch(images(64)))["loss"]
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 7
    assert sum(losses[-10:]) / 10 < 4
