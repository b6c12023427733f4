"""Multi-head attention from one sequence to another (Vaswani et al. 2017, section 3.2.3), its keys computed once."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lab.errors import ConfigError
from lab.nn.sequences.attention import KeysValues, attention_weights

# Dimensions: B examples, T steps that look, S steps of the memory that is looked at, H heads, D features of a head.


class CrossAttention(nn.Module):
    """Every step of a sequence looks at all steps of a memory, such as an encoded source.

    Masks `(B, S)` are true where a step of the memory is real. Where none is, all are looked at: a softmax over nothing
    is NaN.

    Args:
        width: features of a step that looks; the heads share them equally.
        heads: number of heads.
        memory_width: features of a step of the memory; None for `width`.
        dropout: probability of dropping an attention weight.
        bias: whether the linear layers have biases.

    Raises ConfigError where the width is not divisible by the heads.
    """

    def __init__(
        self, width: int, heads: int, *, memory_width: int | None = None, dropout: float = 0.0, bias: bool = True
    ) -> None:
        super().__init__()
        if width % heads:
            raise ConfigError(f"heads must divide the width {width}, received {heads} heads")
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width, bias=bias)
        self.memory = nn.Linear(memory_width or width, 2 * width, bias=bias)
        self.output = nn.Linear(width, width, bias=bias)

    def remember(self, memory: Tensor) -> KeysValues:
        """Return keys and values of a memory `(B, S, memory_width)`, `(B, H, S, D)` each."""
        key, value = self.memory(memory).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return key, value

    def forward(self, x: Tensor, memory: KeysValues, mask: Tensor | None = None) -> Tensor:
        """Return `(B, T, width)` for `x` `(B, T, width)` and the keys and values that `remember` returned."""
        key, value = memory
        dropout = self.dropout if self.training else 0.0
        found = F.scaled_dot_product_attention(self._queries(x), key, value, _visible(mask), dropout)
        return self.output(found.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def weights(self, x: Tensor, memory: KeysValues, mask: Tensor | None = None) -> Tensor:
        """Return how much each step looks at each step of the memory, `(B, H, T, S)`; those of a step add up to 1."""
        return attention_weights(self._queries(x), memory[0], _visible(mask))

    def _queries(self, x: Tensor) -> Tensor:
        return self.query(x).unflatten(2, (self.heads, -1)).transpose(1, 2)  # type: ignore[no-any-return]


def _visible(mask: Tensor | None) -> Tensor | None:
    """Return which steps of the memory are seen, `(B, 1, 1, S)`."""
    if mask is None:
        return None
    real = mask.bool()
    return (real | ~real.any(1, keepdim=True))[:, None, None, :]
