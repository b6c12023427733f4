"""Beam search finds what a search through all sequences finds, whatever the state of the model looks like."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lab.errors import ConfigError
from lab.nn.sequences.beam_search import Hypothesis, beam_search, divisor

VOCAB, END, LENGTH = 3, 2, 4
ALL = VOCAB**LENGTH
"""More hypotheses than there are."""


class Small(nn.Module):
    """A recurrent model. Its state has its memory twice, in forms that caches have."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(VOCAB, 8), nn.Linear(8, VOCAB)
        generator = torch.Generator().manual_seed(3)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=1.5, generator=generator)

    def step(self, last: Tensor, state: Any) -> tuple[Tensor, Any]:
        ((memory, other),), extra = state["layers"], state["none"]
        assert torch.equal(memory, other)
        assert extra is None
        memory = self.cell(nn.functional.one_hot(last, VOCAB).float(), memory)
        return self.head(memory), {"layers": [(memory, memory)], "none": None}

    def begin(self, examples: int) -> dict[str, Any]:
        memory = torch.randn(examples, 8, generator=torch.Generator().manual_seed(1))
        return {"layers": [(memory, memory)], "none": None}


def search(examples: int = 3, **settings: Any) -> list[list[Hypothesis]]:
    model = Small()
    first = torch.zeros(examples, dtype=torch.int64)
    return beam_search(model.step, model.begin(examples), first, end=END, **{"length": LENGTH} | settings)


@torch.no_grad()
def every_sequence(example: int, examples: int = 3) -> dict[tuple[int, ...], float]:
    """log p of all sequences of one example that end, or have `LENGTH` tokens, each by itself."""
    model, found = Small(), {}
    memory = model.begin(examples)["layers"][0][0][example : example + 1]
    for n in range(1, LENGTH + 1):
        for tokens in product(range(VOCAB), repeat=n):
            if END in tokens[:-1] or (n < LENGTH and tokens[-1] != END):
                continue
            total, state, last = 0.0, {"layers": [(memory, memory)], "none": None}, 0
            for token in tokens:
                logits, state = model.step(torch.tensor([last]), state)
                total += float(logits.log_softmax(1)[0, token])
                last = token
            found[tokens] = total
    return found


@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
def test_wide_beam_is_exhaustive(penalty: float) -> None:
    for example, found in enumerate(search(width=ALL, wanted=ALL, penalty=penalty)):
        expected = every_sequence(example)
        assert sum(math.exp(one.log_probability) for one in found) == pytest.approx(1, abs=1e-4)
        assert {tuple(one.tokens): one.log_probability for one in found} == pytest.approx(expected, abs=1e-4)
        scores = [expected[tuple(one.tokens)] / divisor(len(one.tokens), penalty) for one in found]
        assert [one.score for one in found] == pytest.approx(scores, abs=1e-4)
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("width", [2, 3, 9])
def test_narrow_beam_finds_true_scores(width: int) -> None:
    for example, found in enumerate(search(width=width, wanted=width)):
        expected = every_sequence(example)
        assert 0 < len(found) <= width
        for tokens, log_p, _ in found:
            assert log_p == pytest.approx(expected[tuple(tokens)], abs=1e-4)
    best = [max(expected.values()) for expected in map(every_sequence, range(3))]
    assert [found[0].log_probability for found in search(width=9, penalty=0)] == pytest.approx(best, abs=1e-4)


def test_width_of_one_is_greedy() -> None:
    model, found = Small(), search(width=1, penalty=0, length=20)
    for example in range(3):
        memory = model.begin(3)["layers"][0][0][example : example + 1]
        state, tokens = {"layers": [(memory, memory)], "none": None}, [0]
        while len(tokens) < 21 and tokens[-1] != END:
            logits, state = model.step(torch.tensor(tokens[-1:]), state)
            tokens.append(int(logits.argmax()))
        assert found[example][0].tokens == tokens[1:]


def chain(log_p: list[list[float]]) -> Any:
    """A model whose next token depends on the last one alone."""
    return lambda last, state: (torch.tensor(log_p).log()[last], state)


def test_beam_sees_what_greed_misses() -> None:
    """The best first token leads nowhere: .6 * .5 < .4 * 1."""
    step = chain([[0.0, 0.4, 0.6, 0.0], [0.0, 0.0, 0.0, 1.0], [0.25, 0.25, 0.0, 0.5], [0.25, 0.25, 0.25, 0.25]])
    first = torch.zeros(1, dtype=torch.int64)
    (greedy,), (best,) = (
        beam_search(step, None, first, end=3, width=width, length=5, penalty=0)[0] for width in (1, 2)
    )
    assert greedy.tokens == [2, 3]
    assert math.exp(greedy.log_probability) == pytest.approx(0.3)
    assert best.tokens == [1, 3]
    assert math.exp(best.log_probability) == pytest.approx(0.4)


def test_penalty_makes_longer() -> None:
    """A token 0 has p = .6 and the end .4, so that each more of them costs log .6."""
    step, first = chain([[0.6, 0.4], [0.5, 0.5]]), torch.zeros(1, dtype=torch.int64)
    lengths = [
        len(beam_search(step, None, first, end=1, width=3, length=8, penalty=penalty)[0][0].tokens)
        for penalty in (0.0, 1.0, 3.0)
    ]
    assert lengths[0] == 1
    assert lengths == sorted(lengths)
    assert lengths[-1] == 8


def test_search_ends_when_nothing_can_improve() -> None:
    steps = []

    def step(last: Tensor, state: Any) -> tuple[Tensor, Any]:
        steps.append(last)
        return torch.tensor([[0.1, 0.9]]).log().expand(len(last), -1), state

    first = torch.zeros(1, dtype=torch.int64)
    for wanted in (1, 2):
        (found,) = beam_search(step, None, first, end=1, width=2, length=50, penalty=0, wanted=wanted)
        assert [one.tokens for one in found] == [[1], [0, 1]][:wanted]
        assert len(steps) == wanted
        steps.clear()


def test_more_than_there_are() -> None:
    with pytest.raises(ConfigError, match="wanted must be from 1 to the width 2, received 3"):
        search(width=2, wanted=3)
