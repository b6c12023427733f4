"""Diffusion and flow matching agree with closed forms for Gaussians, and learn what can be learned."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from generative.diffusion.bound import first_gap, gap, last_gap
from generative.diffusion.ddpm import DDPM
from generative.diffusion.guided import Guided, as_image, evenly
from generative.diffusion.matching import FlowMatching, Solver, flow
from generative.diffusion.schedule import OFFSET, CosineSchedule
from lab.data.batch import Batch
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.errors import ConfigError
from lab.nn.unet import UNet

SPEC = DataSpec(InputSpec((1, 4, 4)), Classes(2))
SMALL = partial(UNet, channels=(8,))
MEAN, DEVIATION = 0.2, 0.25
"""Of the Gaussian that is diffused."""
MODELS: list[Callable[..., Guided]] = [DDPM, partial(DDPM, prediction="epsilon"), FlowMatching]
NAMES = ["v", "epsilon", "flow"]


def all_levels(schedule: CosineSchedule) -> Tensor:
    return torch.arange(1, schedule.levels + 1)


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


def expected_image(schedule: CosineSchedule, noisy: Tensor, level: Tensor) -> Tensor:
    """E[x_0 | x_t] of the Gaussian."""
    signal = schedule.signal[level]
    spread = signal.square() * DEVIATION**2 + schedule.noise[level].square()
    return MEAN + signal * DEVIATION**2 / spread * (noisy - signal * MEAN)


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


def test_more_steps_than_levels_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"at most model.levels, 10, received 11"):
        DDPM(SPEC, network=SMALL, levels=10, steps=11, fid_samples=None)


def test_gaps_are_divergences() -> None:
    schedule = CosineSchedule(40)
    level = all_levels(schedule)[1:]  # from 2 on
    x, estimate, noisy = (torch.rand(39, 1, 2, 2) for _ in range(3))
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


def test_images_are_between_black_and_white() -> None:
    assert as_image(torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0])).tolist() == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize("make", MODELS, ids=NAMES)
def test_loss_before_training_is_that_of_saying_zero(make: Callable[..., Guided]) -> None:
    torch.manual_seed(0)
    model, images = make(SPEC, network=SMALL, fid_samples=None), torch.rand(4_000, 1, 4, 4)
    x = 2 * images - 1
    labels = torch.zeros(4_000, dtype=torch.long)
    noise, image = 1.0, x.square().mean().item()
    expected = {"v": noise / 2 + image / 2, "epsilon": noise, "flow": noise + image}
    name = model.prediction if isinstance(model, DDPM) else "flow"
    assert model.losses(Batch(images, labels))["loss"].item() == pytest.approx(expected[name], rel=0.03)


def exact_velocity(x: Tensor, time: Tensor) -> Tensor:
    """E[x_1 - x_0 | x_t] on straight lines from N(0, 1) to the Gaussian."""
    spread = (1 - time) ** 2 + time**2 * DEVIATION**2
    return MEAN + (time * DEVIATION**2 - (1 - time)) / spread * (x - time * MEAN)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_flow_along_the_exact_field_lands_on_the_gaussian(solver: Solver, order: int) -> None:
    noise, errors = torch.linspace(-2, 2, 9).double(), []
    for steps in (20, 40):
        *_, x = flow(exact_velocity, noise, steps, solver)
        errors.append((x - (MEAN + DEVIATION * noise)).abs().max().item())
    assert errors[1] < 0.03
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.25), "the order of the solver"


@pytest.mark.parametrize("make", MODELS, ids=NAMES)
def test_guidance_goes_beyond_what_the_class_adds(make: Callable[..., Guided]) -> None:
    torch.manual_seed(0)
    model = make(SPEC, network=SMALL, fid_samples=None)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x, time, labels = torch.randn(3, 1, 4, 4), torch.rand(3), torch.tensor([0, 1, 1])
    told, untold = model(x, time, labels), model(x, time, torch.full((3,), 2))
    assert (told - untold).abs().max() > 1e-3
    assert torch.equal(model.guided(x, time, labels, 0.0), told)
    assert torch.allclose(model.guided(x, time, labels, 1.5), told + 1.5 * (told - untold), atol=1e-4)


def test_a_tenth_of_the_classes_is_not_told() -> None:
    model = DDPM(SPEC, network=SMALL, fid_samples=None)
    labels = torch.arange(20_000) % 2
    found = model.forgetful(labels)
    changed = found != labels
    assert changed.float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert (found[changed] == 2).all()


def test_even_times_leave_no_gap() -> None:
    times = evenly(1_000, torch.device("cpu"))
    assert times.sort().values.diff().max() < 1.01e-3
    assert 0 <= times.min() <= times.max() < 1
    assert not torch.equal(times, evenly(1_000, torch.device("cpu")))


@pytest.mark.parametrize("make", [DDPM, FlowMatching])
def test_classes_are_learned(make: Callable[..., Guided]) -> None:
    """Images of class 0 are black, those of class 1 white."""
    torch.manual_seed(0)
    model = make(SPEC, network=SMALL, steps=20, fid_samples=None)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        labels = torch.randint(2, (32,))
        images = labels.view(-1, 1, 1, 1).expand(-1, 1, 4, 4).float()
        optimizer.zero_grad()
        torch.autograd.backward(model.losses(Batch(images, labels))["loss"])
        optimizer.step()
    with torch.no_grad():
        made = model.eval().generate(40, torch.arange(40) % 2).mean((1, 2, 3))
    assert made[0::2].mean() < 0.2
    assert made[1::2].mean() > 0.8


@pytest.mark.parametrize("make", MODELS, ids=NAMES)
def test_samples_follow_from_their_seed_and_class(make: Callable[..., Guided]) -> None:
    model = make(SPEC, network=SMALL, steps=2, fid_samples=None)
    first, again, other = (model.sample(3, prompt="1", seed=seed) for seed in (0, 0, 1))
    assert [image.tobytes() for image in first] == [image.tobytes() for image in again]
    assert [image.tobytes() for image in first] != [image.tobytes() for image in other]
    with pytest.raises(ConfigError, match="there is no class '7'"):
        model.sample(1, prompt="7")
