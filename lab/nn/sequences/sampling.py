"""Drawing one category by logits: with a temperature, from the most probable ones alone."""

from __future__ import annotations

import torch
from torch import Tensor

from lab.errors import ConfigError

# Dimensions: B rows of logits, V categories.


def draw(
    logits: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return a category for each row of logits `(B, V)`: `(B,)`, int64.

    The logits are divided by the temperature first, then come `only_top_k` and `only_top_p`.

    Args:
        logits: `(B, V)`.
        temperature: less than 1 makes probable categories more probable; 0 takes the most probable one.
        top_k: draw from so many categories; None for all.
        top_p: draw from the fewest categories that have this probability together; 1 for all.
        generator: on the device of the logits; None for torch's global one.

    Raises ConfigError for a temperature below 0, no categories to draw from, or a probability not from 0 to 1.
    """
    if not temperature >= 0:
        raise ConfigError(f"temperature must be at least 0, received {temperature}")
    if top_k is not None and top_k < 1:
        raise ConfigError(f"top_k must be at least 1, received {top_k}")
    if not 0 <= top_p <= 1:
        raise ConfigError(f"top_p must be from 0 to 1, received {top_p}")
    if temperature < torch.finfo(logits.dtype).tiny:  # such numbers are flushed to 0
        return logits.argmax(1)
    logits = (logits - logits.amax(1, keepdim=True)) / temperature  # the largest stays finite
    if top_k is not None:
        logits = only_top_k(logits, top_k)
    if top_p < 1:
        logits = only_top_p(logits, top_p)
    return torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]


def only_top_k(logits: Tensor, k: int) -> Tensor:
    """Return logits `(B, V)` with all but the k largest of each row at minus infinity (Fan et al. 2018, section 5.5).
    Of equal ones, any are left out."""
    kept = logits.topk(min(k, logits.shape[1]), 1).indices
    return torch.full_like(logits, -torch.inf).scatter(1, kept, logits.gather(1, kept))


def only_top_p(logits: Tensor, p: float) -> Tensor:
    """Return logits `(B, V)` with all but the nucleus of each row at minus infinity: the fewest categories whose
    probability together is at least p (Holtzman et al. 2020, section 3.1), and at least one."""
    chances, order = logits.softmax(1).sort(1, descending=True)
    before = chances.cumsum(1) - chances  # the probability of all that are more probable
    beyond = before >= p
    beyond[:, 0] = False
    return logits.masked_fill(torch.zeros_like(beyond).scatter(1, order, beyond), -torch.inf)
