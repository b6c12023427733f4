"""The variational bound of a diffusion agrees with divergences and densities in closed form."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from generative.diffusion.bound import first_gap, gap, last_gap
from generative.diffusion.ddpm import DDPM
from generative.diffusion.schedule import CosineSchedule
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.nn.unet import UNet
from tests.generative.diffusion.gaussian import DEVIATION, MEAN, all_levels, expected_image

SPEC = DataSpec(InputSpec((1, 4, 4)), Classes(2))
SMALL = partial(UNet, channels=(8,))


def test_gaps_are_divergences() -> None:
    torch.manual_seed(0)
    schedule = CosineSchedule(40)
    level = all_levels(schedule)[1:]  # from 2 on
    # In float32 the difference of two nearly equal means has lost its last digits.
    x, estimate, noisy = (torch.rand(39, 1, 2, 2, dtype=torch.float64) for _ in range(3))
    (mean, variance), (guess, _) = (schedule.posterior(image, noisy, level) for image in (x, estimate))
    expected = kl_divergence(Normal(mean, variance.sqrt()), Normal(guess, variance.sqrt())).flatten(1).sum(1)
    assert torch.allclose(gap(schedule, x, estimate, level), expected, rtol=1e-3)
    end = Normal(schedule.signal[-1] * x, schedule.noise[-1])
    assert torch.allclose(last_gap(schedule, x), kl_divergence(end, Normal(0.0, 1.0)).flatten(1).sum(1), atol=1e-6)


@pytest.mark.parametrize("deviation", [0.003, 0.1])
def test_grey_levels_have_probability_one(deviation: float) -> None:
    levels = torch.linspace(-1, 1, 256).view(-1, 1, 1, 1)
    for estimate in (-1.0, -0.2, 0.999):
        log_probability = -first_gap(levels, torch.full_like(levels, estimate), deviation)
        assert log_probability.exp().sum().item() == pytest.approx(1, abs=1e-4)
        assert log_probability.isfinite().all()


def bound(levels: int, x: Tensor) -> tuple[float, float]:
    """Return the bound for numbers `(N, 1)` of the Gaussian with the exact E[x_0 | x_t], and what the terms between
    the first and the last add to it."""
    schedule = CosineSchedule(levels)

    def guess(level: Tensor) -> Tensor:
        noisy = schedule.noised(x, torch.randn_like(x), level)
        return expected_image(schedule, noisy.view(-1), level).view(-1, 1)

    ends = last_gap(schedule, x) + first_gap(x, guess(torch.ones(len(x)).long()), schedule.noise[1].item())
    at = (torch.full((len(x),), level) for level in range(2, levels + 1))
    between = sum(gap(schedule, x, guess(level), level).mean().item() for level in at)
    return ends.mean().item() + between, between


def test_bound_of_a_gaussian_in_closed_form() -> None:
    torch.manual_seed(0)
    x = ((MEAN + DEVIATION * torch.randn(4_000, 1)) * 127.5 + 127.5).round().clamp(0, 255) / 127.5 - 1
    (rough, between), (fine, _) = bound(50, x), bound(1_000, x)
    schedule = CosineSchedule(50)
    left = 1 / (1 / DEVIATION**2 + schedule.ratio)  # variance of x_0 given x_t
    assert between == pytest.approx(0.5 * (-schedule.ratio.diff()[1:] * left[2:]).sum().item(), rel=0.03)
    needed = -Normal(MEAN, DEVIATION).log_prob(x).mean().item() - math.log(2 / 255)  # type: ignore[no-untyped-call]
    assert needed < fine < needed + 0.5
    assert fine < rough, "more levels make the bound tighter"


class Off(DDPM):
    """Takes every noisy image for the same one, a little off."""

    def denoised(self, noisy: Tensor, level: Tensor, labels: Tensor, strength: float = 0.0) -> Tensor:
        return torch.full_like(noisy, 0.35)


def test_bound_adds_up_all_levels_and_the_class() -> None:
    model = Off(SPEC, network=SMALL, levels=5, steps=1, bound_samples=3, fid_samples=None)
    x, schedule = torch.full((40, 1, 4, 4), 0.25), model.schedule
    between = 0.5 * (schedule.ratio[1] - schedule.ratio[5]).item() * 0.1**2 * 16  # the terms of all levels telescope
    first = first_gap(x, torch.full_like(x, 0.35), schedule.noise[1].item()) + last_gap(schedule, x)
    expected = first[0].item() + between + math.log(2)
    found = model.bits_per_dim(x, torch.zeros(40, dtype=torch.long)).mean().item() * 16 * math.log(2)
    assert found == pytest.approx(expected, rel=1e-4)
