"""RealNVP has the density that its layers say, and learns what pixels have in common."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from generative.flows.realnvp import RealNVP, arc
from generative.judges.bits import dequantised
from lab.data.batch import Batch
from lab.data.spec import DataSpec, InputSpec
from lab.errors import ConfigError
from tests.generative.flows.pixels import Pixels


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


@pytest.mark.parametrize("settings", [{"levels": 3}, {"margin": 0.5}])
def test_unfit_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="received"):
        RealNVP(DataSpec(InputSpec((1, 12, 12))), fid_samples=None, **settings)  # type: ignore[arg-type]


def test_model_begins_with_standardised_examples() -> None:
    data = Pixels()
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
