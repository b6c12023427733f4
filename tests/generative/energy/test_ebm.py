"""Langevin chains have their closed forms; an energy has the slopes of the known density, and its chains walk there."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from generative.energy.ebm import EBM
from generative.energy.langevin import langevin, slope
from generative.energy.outliers import auroc, letters, outliers
from lab.encoders import MLP
from tests.generative.boards import Boards

CPU = torch.device("cpu")


@pytest.mark.parametrize("curvature", [1.0, 0.5])
def test_langevin_has_its_closed_form(curvature: float) -> None:
    """Down a parabola it is an autoregression with a known variance, that of the density where the curvature is 1."""
    rate, noise, middle = 0.3, 0.2, 0.5

    def parabola(y: Tensor) -> Tensor:
        return curvature * (y - middle).square().flatten(1).sum(1) / 2

    torch.manual_seed(0)
    ended = langevin(parabola, torch.rand(5_000, 1, 2, 2), 60, rate=rate, noise=noise)
    variance = (1 - (1 - rate) ** 2) / (1 - (1 - rate * curvature) ** 2)
    assert ended.mean().item() == pytest.approx(middle, abs=0.01)
    assert ended.std().item() == pytest.approx(noise * math.sqrt(variance), rel=0.02)
    assert curvature != 1 or variance == 1


def test_slopes_have_gradients_only_to_learn() -> None:
    weight = torch.ones((), requires_grad=True)
    y = torch.rand(3, 1, 2, 2)
    energies, found = slope(lambda y: weight * y.square().flatten(1).sum(1), y, learns=True)
    assert torch.allclose(found, 2 * y)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert weight.grad.item() == pytest.approx(2 * y.sum().item(), rel=1e-5)
    with torch.inference_mode():  # as Lightning evaluates
        energies, found = slope(lambda y: weight * y.square().flatten(1).sum(1), y)
    assert not energies.requires_grad
    assert not found.requires_grad


def small(**settings: float) -> tuple[EBM, Boards]:
    torch.manual_seed(0)
    data = Boards(side=4, count=200, batch_size=50)
    data.prepare()
    model = EBM(data.spec, encoder=partial(MLP, hidden=[32], activation="silu"), **settings)  # type: ignore[arg-type]
    model.adapt(data)
    return model, data


def trained(**settings: float) -> tuple[EBM, Boards]:
    model, data = small(**settings)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, total_iters=60)
    for epoch in range(60):
        for batch in data.train(CPU, epoch):
            loss = model.losses(batch)["loss"]
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        decay.step()
    return model.eval(), data


def test_energy_becomes_that_of_two_boards() -> None:
    """With noise, the density is a mixture of two Gaussians: its slopes and differences are known."""
    noise = 0.7
    model, data = trained(noise=noise, contrast=0.3, chains=100)
    boards = data.boards[:2]
    torch.manual_seed(1)
    y = boards[torch.arange(400) % 2] + noise * torch.randn(400, 1, 4, 4)
    distance = (y[:, None] - boards).square().flatten(2).sum(2) / (2 * noise**2)  # (400, 2)
    expected = torch.einsum("nk,kchw->nchw", (-distance).softmax(1), boards)
    assert (model.denoised(y) - expected).abs().mean() < 0.05
    exact = -(-distance).logsumexp(1)
    found = model(y).detach() / noise**2
    assert torch.corrcoef(torch.stack([exact, found]))[0, 1] > 0.98


def test_chains_walk_between_boards() -> None:
    model, data = trained(noise=0.7, contrast=0.3, chains=100, sample_steps=100)
    with torch.inference_mode():  # as Lightning evaluates
        model.chains.copy_(data.boards[:1])
        ended = model.generate(200)
        real, noise = model(data.boards), model(torch.rand(200, 1, 4, 4))
    nearest = torch.stack([(ended - board).abs().mean((1, 2, 3)) for board in data.boards[:2]])
    assert nearest.min(0).values.mean() < 0.15, "noise is 0.5 away"
    assert nearest.argmin(0).float().mean() == pytest.approx(0.5, abs=0.2), "all began at the first board"
    assert auroc(real, noise) > 0.99


def test_contrast_raises_the_energy_of_chains() -> None:
    """Where no image is, denoising teaches nothing; there the chains do."""

    def raised(contrast: float) -> float:
        model, data = small(noise=0.1, contrast=contrast, rate=0.0, chains=50, renewed=0.0)
        model.chains.fill_(3.0)  # with a rate of 0 they stay there

        @torch.no_grad()
        def gap() -> float:
            return float(model(model.chains).mean() - model(data.boards).mean())

        before = gap()
        optimizer = torch.optim.SGD(model.parameters(), 1e-6)
        model.losses(next(iter(data.test(CPU))))["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return gap() - before

    assert raised(100.0) > 0.01
    assert abs(raised(0.0)) < 0.1 * raised(100.0)


def test_chains_go_on_where_they_ended() -> None:
    model, data = small(noise=0.01, steps=1, chains=80, renewed=0)
    batch, before = next(iter(data.test(CPU))), model.chains.clone()
    model.eval().losses(batch)
    assert torch.equal(model.chains, before), "validation moves no chain"
    model.train().losses(batch)
    moved = (model.chains - before).abs().amax((1, 2, 3))
    assert (moved > 0).sum() == 50, "as many as there are images in the batch"
    assert "chains" in model.state_dict()


def test_renewed_chains_begin_at_independent_pixels() -> None:
    model, data = small(noise=0.01, rate=0.0, steps=1, chains=50, renewed=1)
    model.chains.fill_(9)
    model.losses(next(iter(data.test(CPU))))
    assert 0.4 < model.chains.mean() < 0.6
    assert ((model.chains - model.chains.round()).abs() < 0.1).all(), "binary, and a little noise"


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
