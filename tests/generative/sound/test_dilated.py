"""Dilated convolutions see the steps before each step, and no others; drawing from them computes nothing twice."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from generative.autoregressive.dilated import DilatedNetwork, alike
from generative.autoregressive.queues import draw

SMALL: dict[str, Any] = {"vocab": 3, "start": 1, "condition": 2, "filters": 4, "skip": 16, "dilations": (1, 2, 4)}


def network(*, seed: int = 0, **settings: Any) -> DilatedNetwork:
    torch.manual_seed(seed)
    made = DilatedNetwork(**SMALL | settings).double()
    with torch.no_grad():
        for parameter in made.parameters():  # a network whose steps depend much on one another
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made


def told(count: int, steps: int) -> Tensor:
    return torch.randn(count, 2, steps, dtype=torch.float64)


@pytest.mark.parametrize("stacks", [1, 2])
def test_steps_see_those_before_them(stacks: int) -> None:
    """By gradients: a logit depends on all steps before its own within reach, and on no other step."""
    made, steps = network(stacks=stacks), 20
    x = torch.randint(3, (1, steps))
    vectors = made.embedding(x).detach().requires_grad_()
    start = made.embedding(torch.full((1, 1), made.start)).detach()
    y = told(1, steps).requires_grad_()
    before = torch.cat([start, vectors[:, :-1]], 1).movedim(-1, 1)
    logits = made.logits(before, y)
    assert torch.equal(logits, made(x, y))
    for step in (0, 1, 7, 19):
        seen, heard = torch.autograd.grad(logits[0, :, step].sum(), (vectors, y), retain_graph=True)
        expected = [step - made.reach <= other < step for other in range(steps)]
        assert (seen[0].abs().sum(1) > 0).tolist() == expected
        assert heard[0, :, step].abs().sum() > 0, "a step is not told its own condition"
        assert not heard[0, :, step + 1 :].any(), "a step is told what comes later"


def test_probabilities_sum_to_one() -> None:
    made, y = network(), told(1, 3)
    every = torch.tensor(list(itertools.product(range(3), repeat=3)))
    nats = made.nats(every, y.expand(len(every), -1, -1)).sum(1)
    assert nats.neg().exp().sum().item() == pytest.approx(1)


def plain(made: DilatedNetwork, y: Tensor, length: int, temperature: float) -> Tensor:
    """Draw by computing all steps for each."""
    x = torch.full((len(y), length), made.start)
    for step in range(length):
        logits = made(x, y[:, :, :length])[:, :, step] / temperature
        x[:, step] = torch.multinomial(logits.softmax(1), 1)[:, 0]
    return x


@pytest.mark.parametrize("settings", [{}, {"stacks": 3, "dilations": (1, 5)}], ids=str)
def test_drawing_equals_the_plain_way(settings: dict[str, Any]) -> None:
    made, y = network(**settings), told(8, 30)
    with torch.no_grad():
        torch.manual_seed(1)
        expected = plain(made, y, 30, 0.9)
        torch.manual_seed(1)
        drawn = draw(made, y, torch.full((8,), 30), temperature=0.9)
    assert torch.equal(drawn, expected)
    assert set(drawn.flatten().tolist()) == {0, 1, 2}


def test_queues_give_the_logits_of_the_plain_way() -> None:
    """Also where other sequences have ended: what is drawn is likely where the model says so, to the last digit."""
    made, lengths = network(vocab=2, start=0), torch.tensor([3, 25, 1, 11])
    y = told(4, 25)
    drawn = draw(made, y, lengths, temperature=1e-9)  # always the most probable
    for row, length in enumerate(lengths.tolist()):
        with torch.no_grad():
            logits = made(drawn[row : row + 1, :length], y[row : row + 1, :, :length])
        assert torch.equal(logits.argmax(1)[0], drawn[row, :length])
        assert (drawn[row, length:] == made.start).all()


def test_conditions_change_what_follows() -> None:
    made, x = network(), torch.randint(3, (1, 9))
    one, other = (made.nats(x, told(1, 9)).sum().item() for _ in range(2))
    assert abs(one - other) > 0.01


def test_dilated_learns_a_distant_rule() -> None:
    """Each step is the one seven before it: only the first seven are left to chance."""
    torch.manual_seed(0)
    made = DilatedNetwork(**SMALL | {"filters": 12, "skip": 16})
    optimizer, y = torch.optim.Adam(made.parameters(), 0.03), torch.zeros(16, 2, 28)
    for _ in range(90):
        x = torch.randint(3, (16, 7)).repeat(1, 4)
        nats = made.nats(x, y)
        optimizer.zero_grad()
        nats.mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert nats[:, :7].mean().item() == pytest.approx(math.log(3), abs=0.2)
    assert nats[:, 7:].mean().item() < 0.3


def test_neighbours_begin_alike() -> None:
    vectors = alike(256, 32)
    assert vectors.shape == (256, 32)
    distances = torch.cdist(vectors, vectors)
    assert distances[100, 101] < distances[100, 104] < distances[100, 140]
    assert (distances + torch.eye(256) > 0.5).all(), "two levels have nearly the same vector"
    assert DilatedNetwork(**SMALL | {"filters": 5}).embedding.weight.requires_grad
