"""Noise on images and the way back agree with closed forms for Gaussians."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from generative.diffusion.schedule import OFFSET, CosineSchedule
from tests.generative.diffusion.gaussian import DEVIATION, MEAN, all_levels, expected_image


def test_cosine_schedule_keeps_its_identities() -> None:
    schedule = CosineSchedule(1_000)
    abar = schedule.signal.square()
    assert torch.allclose(abar + schedule.noise.square(), torch.ones(1_001), atol=1e-6), "the variance is kept"
    assert abar[0] == 1
    assert abar[-1] < 1e-4
    assert (abar.diff() < 0).all()
    assert torch.allclose(1 - schedule.beta[1:], abar[1:] / abar[:-1], atol=1e-4)
    assert schedule.beta.max() == pytest.approx(0.999)
    at = torch.tensor([0.1, 0.5, 0.9])
    f = ((at + OFFSET) / (1 + OFFSET) * math.pi / 2).cos().square() / math.cos(OFFSET / (1 + OFFSET) * math.pi / 2) ** 2
    assert torch.allclose(abar[(1_000 * at).long()], f, atol=1e-5), "equation 17"
    assert torch.allclose(schedule.ratio[1:], abar[1:] / schedule.noise[1:].square(), rtol=1e-3)


def test_image_follows_from_its_noise_or_velocity() -> None:
    schedule, x, noise = CosineSchedule(100), torch.rand(90, 2, 3, 3), torch.randn(90, 2, 3, 3)
    level = all_levels(schedule)[:90]
    noisy = schedule.noised(x, noise, level)
    assert torch.allclose(schedule.image_from_noise(noisy, noise, level), x, atol=1e-4)
    assert torch.allclose(schedule.image_from_velocity(noisy, schedule.velocity(x, noise, level), level), x, atol=1e-4)


def conditioned(
    schedule: CosineSchedule, level: Tensor, noisy: Tensor, mean: float, variance: float
) -> tuple[Tensor, Tensor]:
    """Mean and variance of x_{t-1} given x_t, where x_0 ~ N(mean, variance), by the rule for two Gaussians."""
    before = schedule.signal[level - 1].double()
    spread = before.square() * variance + schedule.noise[level - 1].double().square()  # of x_{t-1}
    kept, beta = (1 - schedule.beta[level].double()).sqrt(), schedule.beta[level].double()
    gain = kept * spread / (kept.square() * spread + beta)
    return before * mean + gain * (noisy - kept * before * mean), spread - gain * kept * spread


def test_posterior_conditions_on_image_and_noisy_image() -> None:
    schedule = CosineSchedule(50)
    level, x, noisy = all_levels(schedule), 0.7, torch.randn(50)
    mean, variance = schedule.posterior(torch.full((50,), x), noisy, level)
    expected = conditioned(schedule, level, noisy.double(), x, 0.0)
    assert torch.allclose(mean.double(), expected[0], atol=1e-5)
    assert torch.allclose(variance.double(), expected[1], atol=1e-6)


def test_reverse_process_of_a_gaussian_is_known() -> None:
    schedule = CosineSchedule(50)
    level, noisy = all_levels(schedule), torch.randn(50)
    mean, _ = schedule.posterior(expected_image(schedule, noisy, level), noisy, level)
    expected, _ = conditioned(schedule, level, noisy.double(), MEAN, DEVIATION**2)
    assert torch.allclose(mean.double(), expected, atol=1e-5)


def test_ddim_with_the_exact_score_lands_on_the_gaussian() -> None:
    schedule = CosineSchedule(1_000)
    noise = torch.linspace(-2, 2, 9)
    errors = []
    for steps in (125, 250, 500):
        *_, x = schedule.ddim(noise, steps, lambda noisy, level: expected_image(schedule, noisy, level))
        errors.append((x - (MEAN + DEVIATION * noise)).abs().max().item())
    assert errors[2] < 0.01
    assert errors[2] < 0.6 * errors[1] < 0.4 * errors[0], "half the error with twice the steps"


@pytest.mark.parametrize("steps", [1, 3])
def test_ddim_lands_on_a_point_in_any_number_of_steps(steps: int) -> None:
    schedule = CosineSchedule(1_000)
    states = list(schedule.ddim(torch.randn(5, 1, 2, 2), steps, lambda noisy, _: torch.full_like(noisy, 0.4)))
    assert len(states) == steps + 1
    assert torch.allclose(states[-1], torch.full((5, 1, 2, 2), 0.4))
