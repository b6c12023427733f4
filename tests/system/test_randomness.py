"""Seeds decide what the generators draw."""

from __future__ import annotations

import random

import numpy as np
import torch

from lab.system.randomness import own_randomness, seed_everything, seed_torch


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), torch.rand(()).item()


def test_seeds_are_those_of_torch() -> None:
    for seed in (0, 7, 2**32 - 1, 2**63 - 1):
        torch.manual_seed(seed)
        expected = torch.get_rng_state()
        torch.manual_seed(1)
        seed_torch(seed)
        assert torch.equal(torch.get_rng_state(), expected)


def test_a_seed_decides_every_generator() -> None:
    seed_everything(3)
    first = draws()
    assert draws() != first
    seed_everything(3)
    assert draws() == first
    seed_everything(4)
    assert all(one != other for one, other in zip(draws(), first, strict=True))


def test_own_randomness_leaves_the_generators_alone() -> None:
    seed_everything(3)
    expected = draws()
    seed_everything(3)
    with own_randomness(torch.device("cpu"), 9):
        inside = torch.rand(()).item()
    assert draws() == expected
    torch.manual_seed(9)
    assert torch.rand(()).item() == inside
