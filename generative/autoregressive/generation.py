"""New tokens one after the other, each drawn from what the model predicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from lab.encoders.base import Encoder
from lab.nn.sequences.sampling import draw


@runtime_checkable
class Extends(Protocol):
    """An encoder that can go on from earlier steps without computing them again."""

    def extend(self, x: Tensor, past: Any = None) -> tuple[Tensor, Any]:
        """Return features `(B, T, F)` of the steps `x` that follow those in `past`, and the past of the next ones."""


def generate(
    encoder: Encoder,
    logits: Callable[[Tensor], Tensor],
    start: Tensor,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
) -> Tensor:
    """Return `length` tokens that follow `start`, `(B, length)`, drawn by torch's global generator.

    A token depends on as many tokens before it as the encoder takes. Where the encoder can `extend`, its memory is
    begun anew from the last half of them whenever it is full; so a token then depends on at least half as many.

    Args:
        encoder: causal.
        logits: from features `(B, F)` to logits of the next token `(B, V)`.
        start: token ids, `(B, T)`, at least one.
        length: tokens to draw.
        temperature: divides the logits; 0 takes the most probable token.
        top_k: draw from so many tokens; None for all.
        top_p: draw from the fewest tokens that have this probability together; 1 for all.
    """
    last = _extending(encoder) if isinstance(encoder, Extends) else _anew(encoder)
    tokens = start
    with torch.inference_mode():  # a fifth less time for a small network, whose steps are mostly overhead
        for _ in range(length):
            drawn = draw(logits(last(tokens)), temperature=temperature, top_k=top_k, top_p=top_p)
            tokens = torch.cat([tokens, drawn[:, None]], 1)
    return tokens[:, start.shape[1] :].clone()  # a tensor like any other


def _anew(encoder: Encoder) -> Callable[[Tensor], Tensor]:
    """Return what gives the features of the last token, `(B, F)`, by encoding all tokens that the encoder takes."""
    return lambda tokens: encoder.features(tokens[:, -encoder.spec.shape[0] :])[:, -1]


def _extending(encoder: Any) -> Callable[[Tensor], Tensor]:
    """Return what gives the same from the features of the tokens before, which it remembers."""
    longest = encoder.spec.shape[0]
    past: Any = None
    first = end = 0  # of the tokens in the past

    def last(tokens: Tensor) -> Tensor:
        nonlocal past, first, end
        if past is None or tokens.shape[1] - first > longest:
            past, keep = None, longest if past is None else -(-longest // 2)
            first = end = max(0, tokens.shape[1] - keep)
        features, past = encoder.extend(tokens[:, end:], past)
        end = tokens.shape[1]
        return features[:, -1]  # type: ignore[no-any-return]

    return last
