"""Losses agree with their closed forms, and are least where their papers say."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lab.nn.losses import RegressionLoss, focal, pinball


def test_focal_loss_closed_form() -> None:
    logits = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 4
    assert focal(logits, labels, 0).item() == pytest.approx(F.cross_entropy(logits, labels).item(), abs=1e-6)
    p = logits.softmax(1)[torch.arange(20), labels]
    assert focal(logits, labels, 2).item() == pytest.approx((-((1 - p) ** 2) * p.log()).mean().item(), abs=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_examples_without_doubt_have_a_finite_gradient(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0], [1.0, 0.0]], requires_grad=True)
    focal(logits, torch.tensor([0, 0]), gamma).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())
    assert bool(logits.grad[1].any())


def test_sure_examples_count_less() -> None:
    """A gradient is smaller by (1 - p)^gamma or more, the surer an example is."""
    slopes = []
    for sure in (0.0, 4.0):
        ratio = []
        for gamma in (0.0, 2.0):
            logits = torch.tensor([[sure, 0.0]], requires_grad=True)
            (slope,) = torch.autograd.grad(focal(logits, torch.tensor([0]), gamma), logits)
            ratio.append(slope.abs().sum().item())
        slopes.append(ratio[1] / ratio[0])
    assert slopes[1] < 0.01 < 0.3 < slopes[0]


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_pinball_loss_is_least_at_the_quantile(level: float) -> None:
    numbers = torch.randn(2_001, generator=torch.Generator().manual_seed(0)).exp()
    guesses = torch.linspace(0, 5, 1_001)
    losses = torch.stack([pinball(guess.expand_as(numbers), numbers, level) for guess in guesses])
    assert guesses[losses.argmin()].item() == pytest.approx(numbers.quantile(level).item(), abs=0.02)


def test_huber_loss_is_squared_then_straight() -> None:
    loss = RegressionLoss("huber", delta=0.5)
    for error, expected in ((0.2, 0.02), (0.5, 0.125), (3.0, 0.5 * (3 - 0.25))):
        assert loss(torch.tensor([error]), torch.zeros(1)).item() == pytest.approx(expected)


def test_one_wild_example_pulls_a_mean_but_no_median() -> None:
    numbers = torch.cat([torch.linspace(-1, 1, 21), torch.tensor([1_000.0])])
    guesses = torch.linspace(-2, 60, 621)
    found = {}
    for kind in ("squared", "absolute", "huber"):
        loss = RegressionLoss(kind)
        found[kind] = guesses[torch.stack([loss(g.expand_as(numbers), numbers) for g in guesses]).argmin()].item()
    assert found["squared"] == pytest.approx(1_000 / 22, abs=0.1)
    assert abs(found["absolute"]) < 0.11
    assert abs(found["huber"]) < 0.11
