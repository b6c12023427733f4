"""Transformer blocks that also look at another sequence, such as an encoded source (Vaswani et al. 2017, section 3.1),
with the norm before each part (Xiong et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lab.nn.sequences.attention import KeysValues, SelfAttention
from lab.nn.sequences.cross_attention import CrossAttention
from lab.nn.sequences.positions import RotaryPositions
from lab.nn.sequences.transformer import draw_weights, step_mlp

# Dimensions: B examples, T steps, S steps of the memory.


class DecoderBlock(nn.Module):
    """Causal self-attention, attention to a memory, and an MLP with GELU on each step, each with a norm before and a
    shortcut around it.

    Args:
        width: features of a step.
        heads: of both attentions.
        memory_width: features of a step of the memory; None for `width`.
        dropout: probability of dropping an attention weight, or an output of one of the parts.
        bias: whether linear layers and norms have biases.
        rotary: of the self-attention, see `SelfAttention`.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        memory_width: int | None = None,
        dropout: float = 0.0,
        bias: bool = True,
        rotary: RotaryPositions | None = None,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, bias=bias)
        self.attention = SelfAttention(width, heads, causal=True, dropout=dropout, bias=bias, rotary=rotary)
        self.cross_norm = nn.LayerNorm(width, bias=bias)
        self.cross_attention = CrossAttention(width, heads, memory_width=memory_width, dropout=dropout, bias=bias)
        self.mlp_norm = nn.LayerNorm(width, bias=bias)
        self.mlp = step_mlp(width, bias)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, memory: KeysValues, mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        """Return `(B, T, width)` for `x` `(B, T, width)`, keys and values of the memory, and masks `(B, T)` and
        `(B, S)`, true where a step is real."""
        return self._rest(self.after_self_attention(x, mask), memory, memory_mask)

    def extend(
        self, x: Tensor, past: KeysValues | None, memory: KeysValues, memory_mask: Tensor | None = None
    ) -> tuple[Tensor, KeysValues]:
        """Return the output for steps `x`, `(B, T, width)`, that follow those in `past`, and all keys and values."""
        seen, past = self.attention.extend(self.attention_norm(x), past)
        return self._rest(x + self.dropout(seen), memory, memory_mask), past

    def after_self_attention(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the steps after self-attention, `(B, T, width)`, before they look at the memory."""
        return x + self.dropout(self.attention(self.attention_norm(x), mask))  # type: ignore[no-any-return]

    def _rest(self, x: Tensor, memory: KeysValues, memory_mask: Tensor | None) -> Tensor:
        x = x + self.dropout(self.cross_attention(self.cross_norm(x), memory, memory_mask))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))  # type: ignore[no-any-return]


class TransformerDecoder(nn.Module):
    """Decoder blocks one on top of the other, and a last norm. Weights are initialised as those of `TransformerBlocks`.

    What is computed of the memory, `remember` computes once, for `forward` and for each `extend`. A beam search has
    to repeat it once: hypotheses of one example share their memory.

    Args:
        width: features of a step.
        layers: number of blocks.
        heads: of each attention.
        memory_width: features of a step of the memory; None for `width`.
        dropout: see `DecoderBlock`.
        bias: whether linear layers and norms have biases.
        rotary: see `SelfAttention`.
    """

    def __init__(
        self,
        width: int,
        layers: int,
        heads: int,
        *,
        memory_width: int | None = None,
        dropout: float = 0.0,
        bias: bool = True,
        rotary: RotaryPositions | None = None,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            DecoderBlock(width, heads, memory_width=memory_width, dropout=dropout, bias=bias, rotary=rotary)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width, bias=bias)
        draw_weights(self.blocks, width, shortcuts=3 * layers)

    def remember(self, memory: Tensor) -> list[KeysValues]:
        """Return keys and values of a memory `(B, S, memory_width)` for each block."""
        return [block.cross_attention.remember(memory) for block in self.blocks]  # type: ignore[operator, union-attr]

    def forward(
        self, x: Tensor, memory: Sequence[KeysValues], mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        """Return `(B, T, width)` for `x` `(B, T, width)`, the memory as `remember` returns it, and masks `(B, T)` and
        `(B, S)`, true where a step is real. No step sees a later one."""
        for block, remembered in zip(self.blocks, memory, strict=True):
            x = block(x, remembered, mask, memory_mask)
        return self.norm(x)  # type: ignore[no-any-return]

    def extend(
        self,
        x: Tensor,
        past: Sequence[KeysValues] | None,
        memory: Sequence[KeysValues],
        memory_mask: Tensor | None = None,
    ) -> tuple[Tensor, list[KeysValues]]:
        """Return the output for steps `x`, `(B, T, width)`, that follow those in `past`, and the keys and values of all
        steps for each block."""
        extended = []
        for number, (block, remembered) in enumerate(zip(self.blocks, memory, strict=True)):
            x, kept = block.extend(x, past[number] if past else None, remembered, memory_mask)  # type: ignore[operator]
            extended.append(kept)
        return self.norm(x), extended

    def weights(
        self, x: Tensor, memory: Sequence[KeysValues], mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        """Return how much each step looks at each step of the memory, `(layers, B, heads, T, S)`, for drawing. The
        weights of a step add up to 1."""
        found = []
        for block, remembered in zip(self.blocks, memory, strict=True):
            looking = block.cross_norm(block.after_self_attention(x, mask))  # type: ignore[operator]
            found.append(block.cross_attention.weights(looking, remembered, memory_mask))  # type: ignore[operator, union-attr]
            x = block(x, remembered, mask, memory_mask)
        return torch.stack(found)
