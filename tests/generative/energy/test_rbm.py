"""Boltzmann machines small enough to sum over all their states: energies, chains, annealing and learning are exact."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from generative.energy.annealing import anneal, schedule
from generative.energy.boltzmann import BoltzmannMachine, drawn
from generative.energy.chains import tell_of_collapse
from generative.energy.rbm import RBM
from lab.data.batch import Batch
from lab.data.spec import DataSpec, InputSpec
from tests.generative.boards import Boards

CPU = torch.device("cpu")


def machine(visible: int = 6, hidden: int = 4, scale: float = 1.0) -> BoltzmannMachine:
    torch.manual_seed(0)
    made = BoltzmannMachine(visible, hidden)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_().mul_(scale)
    return made


def every(units: int) -> Tensor:
    """All states of so many units."""
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=units)))


def log_z(made: BoltzmannMachine) -> float:
    return made.free_energy(every(len(made.visible_bias))).double().neg().logsumexp(0).item()


def test_free_energy_sums_hidden_units_out() -> None:
    made, v, h = machine(), every(6), every(4)
    energy = -(v @ made.visible_bias)[:, None] - (h @ made.hidden_bias)[None] - v @ made.weight @ h.T
    assert torch.allclose(made.free_energy(v), -energy.neg().logsumexp(1), atol=1e-5)
    marginal = (-energy).softmax(1) @ h
    assert torch.allclose(made.hidden(v), marginal, atol=1e-5)


def test_gibbs_steps_keep_the_distribution() -> None:
    """Chains that begin at the distribution stay there, and others arrive."""
    made = machine()
    states = every(6)
    expected = (-made.free_energy(states)).softmax(0).detach()
    begun = states[torch.multinomial(expected, 50_000, replacement=True)]
    for v, steps in ((begun, 1), (torch.zeros_like(begun), 30)):
        ended = made.gibbs(v, steps)
        number = (ended.long() * 2 ** torch.arange(5, -1, -1)).sum(1)
        found = number.bincount(minlength=64) / len(number)
        assert (found - expected).abs().sum() < 0.03


def test_annealing_finds_log_z() -> None:
    made = machine(scale=1.5)
    found = anneal(made, torch.randn(6), schedule(1_000), 1_000)
    assert 0 < 3 * found.error < 0.1
    assert found.log_z == pytest.approx(log_z(made), abs=3 * found.error)
    expected = (-made.free_energy(every(6))).softmax(0).detach() @ every(6)
    assert torch.allclose(found.chains.mean(0), expected, atol=0.06), "chains end at the machine's distribution"


def test_annealing_to_independent_units_is_exact() -> None:
    made = machine()
    with torch.no_grad():
        made.weight.zero_()
    found = anneal(made, made.visible_bias.detach().clone(), schedule(20), 10)
    assert found.log_z == pytest.approx(log_z(made), abs=1e-4)
    assert found.spread < 1e-4


def test_few_distributions_show_in_the_spread() -> None:
    made = machine(scale=3)
    few, many = (anneal(made, torch.zeros(6), schedule(number), 200) for number in (5, 2_000))
    assert few.spread > 5 * many.spread


def test_decayhas_the_published_pieces() -> None:
    betas = schedule(14_500)
    assert len(betas) == 14_501
    assert betas[[0, 500, 4_500, 14_500]].tolist() == pytest.approx([0, 0.5, 0.9, 1])
    assert (betas.diff() > 0).all()


@pytest.mark.parametrize(
    "persistent",
    [pytest.param(True, id="persistent"), pytest.param(False, id="from data", marks=pytest.mark.slow)],
)
def test_rbm_learns_boards(persistent: bool) -> None:
    """The exact likelihood approaches that of the two boards; annealing says the same of it."""
    torch.manual_seed(0)
    data = Boards(side=3, count=100, batch_size=50)
    data.prepare()
    model = RBM(data.spec, hidden=8, steps=10, persistent=persistent, chains=200, ais_distributions=1_000)
    model.adapt(data)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=400)
    for epoch in range(400):
        for batch in data.train(CPU, epoch):
            loss = model.losses(batch)["loss"]
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        decay.step()
    exact = (model(data.boards).mean() + log_z(model.machine)).item()
    assert math.log(2) < exact < 1.5, "independent pixels have 6.2"
    model.prepare_test(data, CPU)
    assert model.annealed.log_z == pytest.approx(log_z(model.machine), abs=0.1)


def test_only_training_moves_the_chains() -> None:
    data = Boards(side=3)
    data.prepare()
    model = RBM(data.spec, hidden=4, chains=7)
    model.adapt(data)
    batch, before = next(iter(data.test(CPU))), model.chains.clone()
    model.eval().losses(batch)
    assert torch.equal(model.chains, before)
    model.train().losses(batch)
    assert not torch.equal(model.chains, before)
    assert torch.equal(model.state_dict()["chains"], model.chains)


def test_machine_begins_at_the_means() -> None:
    data = Boards(side=3)
    data.prepare()
    data.boards[:, :, 0, 0] = 1
    model = RBM(data.spec, hidden=4)
    model.adapt(data)
    assert model.base[0] > 5
    assert torch.allclose(model.base[1:], torch.zeros(8), atol=0.01)
    assert torch.equal(model.machine.visible_bias, model.base)


def test_collapsed_chains_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    data = Boards()
    data.prepare()
    tell_of_collapse(data.boards[:50], data)
    assert not capsys.readouterr().err
    tell_of_collapse(data.boards[:1].expand(50, -1, -1, -1), data)
    assert "the chains have collapsed: their variance is 0% of that of the test images" in capsys.readouterr().err


def test_images_are_binarised_anew() -> None:
    torch.manual_seed(0)
    model = RBM(DataSpec(InputSpec((1, 3, 3))), hidden=4)
    grey = Batch(torch.full((200, 1, 3, 3), 0.5))
    assert model.losses(grey)["free_energy"] != model.losses(grey)["free_energy"]
    assert drawn(torch.full((10_000,), 0.3)).mean().item() == pytest.approx(0.3, abs=0.02)
