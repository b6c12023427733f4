"""Beam search: the most probable sequences of a model that predicts one token after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.errors import ConfigError

# Dimensions: B examples, W hypotheses of each, N = B * W, V token ids, L tokens of the longest hypothesis.

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""From the last tokens, `(N,)`, and the state after those before them to logits `(N, V)` of the next ones and the state
after the last ones. A state is a tensor whose first axis is N; or a tuple, list or dict of states; or None."""


class Hypothesis(NamedTuple):
    """Tokens, with the end where there is one; the logarithm of their probability; and this by the length penalty."""

    tokens: list[int]
    log_probability: float
    score: float


@torch.no_grad()
def beam_search(
    step: Step,
    state: Any,
    first: Tensor,
    *,
    end: int,
    width: int = 4,
    length: int = 100,
    penalty: float = 0.6,
    wanted: int = 1,
) -> list[list[Hypothesis]]:
    """Return the best sequences of each example, the best first.

    Of all that is one token longer, the `width` most probable beginnings are kept. One that ends is set aside, and
    others go on in its place. One that has not ended after `length` tokens is taken as it is. The score of n tokens,
    the end among them, is log p / ((5 + n) / 6)^penalty (Wu et al. 2016, section 7, without coverage). The search ends
    when no beginning can still become one of the `wanted` best.

    Args:
        step: one step of the model. Tokens that must not come have logits of minus infinity. What hypotheses of an
            example have in common, such as its encoded source, need not be part of the state: the order of examples
            stays, so that `repeated` fits once and for all.
        state: after what stands before `first`, for B examples.
        first: the token before the first one that is sought, `(B,)`, int64.
        end: the token that ends a sequence.
        width: hypotheses of an example, W. With 1 and no penalty, each token is the most probable one.
        length: tokens of the longest hypothesis, L.
        penalty: 0 or more. With 0 the score is log p, which favours short sequences; with 1 it is nearly a mean.
        wanted: sequences that are returned for each example, at most W. There may be fewer.

    Raises ConfigError where more are wanted than there are hypotheses.
    """
    if not 1 <= wanted <= width:
        raise ConfigError(f"wanted must be from 1 to the width {width}, received {wanted}")
    batch = len(first)
    example = torch.arange(batch, device=first.device)[:, None]
    state, last = repeated(state, width), first.repeat_interleave(width)
    tokens = first.new_empty(batch, width, 0)
    alive = torch.full((batch, width), -torch.inf, device=first.device)
    alive[:, 0] = 0  # log p. The others equal the first one, until a token tells them apart.
    aside = _Aside.nothing(first, width, length)
    for n in range(1, length + 1):
        logits, state = step(last, state)
        log_p = alive[:, :, None] + logits.float().log_softmax(1).view(batch, width, -1)  # (B, W, V)
        # Each beginning can end in one way. So of the 2 W best, at least W do not end.
        best, place = log_p.flatten(1).topk(2 * width, 1)
        before, token = place // log_p.shape[2], place % log_p.shape[2]
        longer = torch.cat([tokens[example, before], token[:, :, None]], 2)  # (B, 2 W, n)
        ends = token == end
        complete = ends[:, :width] | (n == length)
        aside = aside.joined_by(longer[:, :width], best[:, :width].masked_fill(~complete, -torch.inf), penalty)
        alive, kept = best.masked_fill(ends, -torch.inf).topk(width, 1)
        if n == length or not (alive[:, 0] / divisor(length, penalty) > aside.score[:, wanted - 1]).any():
            break
        tokens, last = longer[example, kept], token.gather(1, kept).flatten()
        state = reordered(state, (example * width + before.gather(1, kept)).flatten())
    return [found[:wanted] for found in aside.hypotheses()]


class _Aside(NamedTuple):
    """The best sequences that need no more tokens, the best first: `(B, W)` each, and the tokens `(B, W, L)`. Where
    there are fewer than W, scores are minus infinity."""

    score: Tensor
    log_p: Tensor
    lengths: Tensor
    tokens: Tensor

    @classmethod
    def nothing(cls, first: Tensor, width: int, length: int) -> _Aside:
        score = torch.full((len(first), width), -torch.inf, device=first.device)
        lengths = first.new_zeros(len(first), width)
        return cls(score, score, lengths, first.new_zeros(len(first), width, length))

    def joined_by(self, tokens: Tensor, log_p: Tensor, penalty: float) -> _Aside:
        """Return the best of these and of as many others: tokens `(B, W, n)` and their log p."""
        n, longest = tokens.shape[2], self.tokens.shape[2]
        others = (log_p / divisor(n, penalty), log_p, torch.full_like(self.lengths, n), F.pad(tokens, (0, longest - n)))
        score, log_p, lengths, tokens = (torch.cat(pair, 1) for pair in zip(self, others, strict=True))
        score, kept = score.topk(self.score.shape[1], 1)
        rows = torch.arange(len(kept), device=kept.device)[:, None]
        return _Aside(score, log_p[rows, kept], lengths[rows, kept], tokens[rows, kept])

    def hypotheses(self) -> list[list[Hypothesis]]:
        return [
            [Hypothesis(tokens[:n], p, score) for score, p, n, tokens in zip(*each, strict=True) if score > -torch.inf]
            for each in zip(*(part.tolist() for part in self), strict=True)
        ]


def divisor(n: int, penalty: float) -> float:
    """Return what log p of `n` tokens is divided by (Wu et al. 2016, equation 14)."""
    return ((5 + n) / 6) ** penalty  # type: ignore[no-any-return]


def repeated(state: Any, width: int) -> Any:
    """Return the state of B examples for B * width hypotheses, those of an example side by side."""
    return _mapped(state, lambda tensor: tensor.repeat_interleave(width, 0))


def reordered(state: Any, rows: Tensor) -> Any:
    """Return the state whose hypotheses are those in `rows`, `(N,)`."""
    return _mapped(state, lambda tensor: tensor[rows])


def _mapped(state: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a state of the same form, with each tensor changed."""
    if isinstance(state, Tensor):
        return change(state)
    if isinstance(state, dict):
        return {key: _mapped(part, change) for key, part in state.items()}
    return None if state is None else type(state)(_mapped(part, change) for part in state)
