"""Multi-head self-attention (Vaswani et al. 2017, section 3.2), over whole sequences or token by token."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.errors import ConfigError
from lab.nn.sequences.positions import RotaryPositions

# Dimensions: B examples, T steps, P steps before them, H heads, D features of a head.

KeysValues = tuple[Tensor, Tensor]
"""Keys and values of the steps so far, `(B, H, P, D)` each."""


def attention_weights(query: Tensor, key: Tensor, visible: Tensor | None = None) -> Tensor:
    """Return the weights by which values are added up, `(B, H, T, S)`, for queries `(B, H, T, D)` and keys
    `(B, H, S, D)` (Vaswani et al. 2017, equation 1). `visible` is true where a query may see a key."""
    scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
    return (scores if visible is None else scores.masked_fill(~visible, -torch.inf)).softmax(3)


class SelfAttention(nn.Module):
    """Every step looks at the steps of its own sequence.

    Args:
        width: features of a step; the heads share them equally.
        heads: number of heads.
        causal: whether a step sees only itself and the steps before it.
        dropout: probability of dropping an attention weight.
        bias: whether the two linear layers have biases.
        rotary: turns queries and keys by their positions; null for none.

    Raises ConfigError where the width is not divisible by the heads.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        causal: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
        rotary: RotaryPositions | None = None,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ConfigError(f"heads must divide the width {width}, received {heads} heads")
        self.heads, self.causal, self.dropout, self.rotary = heads, causal, dropout, rotary
        self.inputs = nn.Linear(width, 3 * width, bias=bias)
        self.output = nn.Linear(width, width, bias=bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return `(B, T, width)` for `x` `(B, T, width)`. No step looks at another where `mask`, `(B, T)`, is false."""
        return self._attend(*self._project(x, 0), 0, mask)

    def extend(self, x: Tensor, past: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """Return what `forward` returns for the steps `x`, `(B, T, width)`, that follow those in `past`; and the keys
        and values of all steps. Only causal attention can do that."""
        assert self.causal
        before = past[0].shape[2] if past else 0
        query, key, value = self._project(x, before)
        if past:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        return self._attend(query, key, value, before), (key, value)

    def weights(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return how much each step looks at each other one, `(B, H, T, T)`; the weights of a step add up to 1."""
        query, key, _ = self._project(x, 0)
        return attention_weights(query, key, self._visible(x.shape[1], 0, mask, x.device))

    def _project(self, x: Tensor, start: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, `(B, H, T, D)` each; the first step is at position `start`."""
        projected = self.inputs(x).view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key = projected[:2] if self.rotary is None else self.rotary(projected[:2], start)
        return query, key, projected[2]

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, past: int, mask: Tensor | None = None) -> Tensor:
        """Return the output `(B, T, width)`; of the keys, the first `past` are of earlier steps."""
        steps = query.shape[2]
        whole = self.causal and mask is None and past == 0
        visible = None if whole or (steps == 1 and mask is None) else self._visible(steps, past, mask, query.device)
        dropout = self.dropout if self.training else 0.0
        found = F.scaled_dot_product_attention(query, key, value, visible, dropout, is_causal=whole)
        return self.output(found.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _visible(self, steps: int, past: int, mask: Tensor | None, device: torch.device) -> Tensor | None:
        """Return which steps see which, true where they do; `(T, P + T)` or `(B, 1, T, T)`. None where all see all."""
        order = torch.ones(steps, past + steps, dtype=torch.bool, device=device).tril(past) if self.causal else None
        if mask is None:
            return order
        real = mask.bool()[:, None, None, :]
        visible = real if order is None else real & order
        # A step of padding at least sees itself: a softmax over nothing is NaN on some devices.
        return visible | torch.eye(steps, dtype=torch.bool, device=device)
