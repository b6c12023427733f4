"""Categories are drawn with the probabilities that temperature, top k and top p give them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lab.errors import ConfigError
from lab.nn.sequences.sampling import draw, only_top_k, only_top_p

CHANCES = torch.tensor([[0.1, 0.4, 0.2, 0.05, 0.25]])
LOGITS = CHANCES.log() + 3  # no logits are log-probabilities


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def shares(**settings: Any) -> Tensor:
    drawn = draw(LOGITS.expand(20_000, -1), generator=seeded(), **settings)
    return drawn.bincount(minlength=5) / len(drawn)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, CHANCES[0]),
        ({"temperature": 2.0}, CHANCES[0].sqrt() / CHANCES[0].sqrt().sum()),
        ({"top_k": 2}, torch.tensor([0, 0.4, 0, 0, 0.25]) / 0.65),
        ({"top_k": 9}, CHANCES[0]),
        ({"top_p": 0.7}, torch.tensor([0, 0.4, 0.2, 0, 0.25]) / 0.85),
        ({"top_p": 0.0}, torch.tensor([0, 1.0, 0, 0, 0])),
        ({"top_k": 3, "top_p": 0.5}, torch.tensor([0, 0.4, 0, 0, 0.25]) / 0.65),
        ({"temperature": 0.5, "top_p": 0.55}, torch.tensor([0, 1.0, 0, 0, 0])),
    ],
    ids=str,
)
def test_shares_of_what_is_drawn(settings: dict[str, Any], expected: Tensor) -> None:
    """In the last one the temperature comes first: squared, .4 is .57 of all."""
    torch.testing.assert_close(shares(**settings), expected, atol=0.015, rtol=0)


def test_nucleus_is_the_smallest() -> None:
    logits = 3 * torch.randn(50, 12, generator=seeded())
    for p in (0.1, 0.5, 0.9):
        kept = only_top_p(logits, p).isfinite()
        chances = logits.softmax(1)
        assert (chances.where(kept, 0).sum(1) >= p).all()
        least = chances.where(kept, 2).argmin(1, keepdim=True)
        assert (chances.where(kept, 0).scatter(1, least, 0).sum(1) < p).all()
        assert (chances.where(kept, 1).amin(1) >= chances.where(~kept, 0).amax(1)).all()


def test_top_k_keeps_k() -> None:
    logits = torch.randn(50, 12, generator=seeded())
    kept = only_top_k(logits, 4)
    assert (kept.isfinite().sum(1) == 4).all()
    assert torch.equal(kept[kept.isfinite()], logits[kept.isfinite()])
    assert (only_top_k(torch.zeros(1, 5), 2).isfinite().sum() == 2).item()


def test_no_temperature_takes_the_likeliest() -> None:
    logits = torch.randn(50, 12, generator=seeded())
    for temperature in (0, 1e-39, 1e-37):  # by these, torch divides to infinity
        assert torch.equal(draw(logits, temperature=temperature), logits.argmax(1))


def test_draws_follow_from_the_generator() -> None:
    logits = torch.randn(50, 12, generator=seeded())
    first, again = (draw(logits, generator=seeded()) for _ in range(2))
    assert torch.equal(first, again)
    state = torch.get_rng_state()
    draw(logits, generator=seeded())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.5}, "temperature must be at least 0, received -0.5"),
        ({"temperature": float("nan")}, "temperature must be at least 0, received nan"),
        ({"top_k": 0}, "top_k must be at least 1, received 0"),
        ({"top_p": 1.5}, "top_p must be from 0 to 1, received 1.5"),
    ],
    ids=str,
)
def test_impossible_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        draw(LOGITS, **settings)
