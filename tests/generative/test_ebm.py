"""Langevin chains have their closed forms, and an energy that they teach tells its images from others."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from generative.energy.ebm import EBM
from generative.energy.langevin import langevin
from generative.energy.outliers import auroc, letters, outliers
from lab.encoders import MLP
from tests.generative.boards import Boards

CPU = torch.device("cpu")


def test_langevin_has_its_closed_form() -> None:
    """Down a parabola, x <- x - k (x - m) + noise is an autoregression, whose variance is known."""
    k, noise, middle = 0.2, 0.03, 0.5

    def parabola(x: Tensor) -> Tensor:
        return (x - middle).square().flatten(1).sum(1) / 2

    torch.manual_seed(0)
    ended = langevin(parabola, torch.rand(2_000, 1, 2, 2), 60, step_size=k, noise=noise)
    assert ended.mean().item() == pytest.approx(middle, abs=0.003)
    assert ended.std().item() == pytest.approx(noise / math.sqrt(1 - (1 - k) ** 2), rel=0.03)


def test_langevin_at_temperature_one_samples_the_density() -> None:
    """With noise of the root of twice the step size, small steps sample exp(-E): here a Gaussian."""
    step_size, deviation = 1e-4, 0.05
    torch.manual_seed(0)
    ended = langevin(
        lambda x: (x - 0.5).square().flatten(1).sum(1) / (2 * deviation**2),
        torch.full((2_000, 1, 1, 1), 0.4),
        150,
        step_size=step_size,
        noise=math.sqrt(2 * step_size),
    )
    assert ended.std().item() == pytest.approx(deviation, rel=0.06)


def test_images_stay_within_bounds() -> None:
    ended = langevin(lambda x: -10 * x.flatten(1).sum(1), torch.rand(3, 1, 2, 2), 5, step_size=1, noise=0.1)
    assert ended.max() == 1
    assert ended.min() >= 0


def small(**settings: float) -> tuple[EBM, Boards]:
    torch.manual_seed(0)
    data = Boards(side=4, count=200, batch_size=50)
    data.prepare()
    return EBM(data.spec, encoder=partial(MLP, hidden=[32], activation="silu"), **settings), data  # type: ignore[arg-type]


def test_ebm_learns_boards() -> None:
    model, data = small(steps=10, step_size=0.1, noise=0.01, chains=100, sample_steps=100)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for epoch in range(60):
        for batch in data.train(CPU, epoch):
            loss = model.losses(batch)["loss"]
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    with torch.inference_mode():  # as Lightning evaluates
        real, noise = model(data.boards), model(torch.rand(200, 1, 4, 4))
        drawn = model.generate(50)
    assert auroc(real, noise) > 0.99
    nearest = torch.stack([(drawn - board).abs().mean((1, 2, 3)) for board in data.boards[:2]])
    assert nearest.min(0).values.mean() < 0.15, "noise is 0.5 away"
    assert set(nearest.argmin(0).tolist()) == {0, 1}, "both boards are drawn"


def test_chains_go_on_where_they_ended() -> None:
    model, data = small(steps=1, step_size=0.01, noise=0.01, chains=80, renewed=0)
    batch, before = next(iter(data.test(CPU))), model.chains.clone()
    model.eval().losses(batch)
    assert torch.equal(model.chains, before), "validation moves no chain"
    model.train().losses(batch)
    moved = (model.chains - before).abs().amax((1, 2, 3))
    assert (moved > 0).sum() == 50, "as many as there are images in the batch"
    assert moved.max() < 0.1
    assert "chains" in model.state_dict()


def test_renewed_chains_begin_at_noise() -> None:
    model, data = small(steps=1, step_size=0.01, noise=0.01, chains=50, renewed=1)
    model.chains.zero_()
    model.losses(next(iter(data.test(CPU))))
    assert 0.4 < model.chains.mean() < 0.6


def test_auroc_at_known_points() -> None:
    low, high = torch.tensor([-3.0, -1.0]), torch.tensor([2.0, 50.0, 7.0])
    assert auroc(low, high) == 1
    assert auroc(high, low) == 0
    assert auroc(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 3.0])) == 0.75


def test_letters_are_large_and_different() -> None:
    drawn = letters((1, 28, 28))
    assert drawn.shape == (312, 1, 28, 28)
    assert len({letter.numpy().tobytes() for letter in drawn}) > 300
    margin = torch.ones(28, 28, dtype=torch.bool)
    margin[4:-4, 4:-4] = False
    assert (drawn[..., margin] == 0).all()
    assert (drawn.amax((1, 2, 3)) > 0.9).all()
    assert letters((3, 16, 20)).shape == (312, 3, 16, 20)
    assert torch.equal(outliers((1, 8, 8))["noise"], outliers((1, 8, 8))["noise"])
