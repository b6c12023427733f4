"""Transformer blocks with the norm before each part (Vaswani et al. 2017; Xiong et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lab.nn.sequences.attention import KeysValues, SelfAttention
from lab.nn.sequences.positions import RotaryPositions

# Dimensions: B examples, T steps.

EXPANSION = 4
"""Hidden units of a block's MLP for each of its features, as in the paper."""

DEVIATION = 0.02
"""Standard deviation of the initial vectors of tokens and positions, as in GPT-2 (Radford et al. 2019)."""


def step_mlp(width: int, bias: bool) -> nn.Sequential:
    """Return the MLP of a block, `(..., width)` to the same."""
    hidden = EXPANSION * width
    return nn.Sequential(nn.Linear(width, hidden, bias=bias), nn.GELU(), nn.Linear(hidden, width, bias=bias))


def draw_weights(blocks: nn.Module, width: int, shortcuts: int) -> None:
    """Draw weights of blocks from N(0, 2 / (5 width)) (Nguyen & Salazar 2019, section 2.2), and divide those that end a
    shortcut by the square root of the number of shortcuts (Radford et al. 2019, section 2.3). Biases become 0."""
    deviation = math.sqrt(2 / (5 * width))
    for name, parameter in blocks.named_parameters():
        if name.endswith(("attention.output.weight", "mlp.2.weight")):
            nn.init.normal_(parameter, std=deviation / math.sqrt(shortcuts))
        elif parameter.ndim > 1:
            nn.init.normal_(parameter, std=deviation)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


class TransformerBlock(nn.Module):
    """Self-attention, then an MLP with GELU on each step, both with a norm before and a shortcut around them.

    Args:
        width: features of a step.
        heads: of the attention.
        causal: whether a step sees only itself and the steps before it.
        dropout: probability of dropping an attention weight, or an output of either part.
        bias: whether linear layers and norms have biases.
        rotary: see `SelfAttention`.
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
        self.attention_norm = nn.LayerNorm(width, bias=bias)
        self.attention = SelfAttention(width, heads, causal=causal, dropout=dropout, bias=bias, rotary=rotary)
        self.mlp_norm = nn.LayerNorm(width, bias=bias)
        self.mlp = step_mlp(width, bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return `(B, T, width)` for `x` `(B, T, width)` and a mask `(B, T)`, true where a step is real."""
        x = x + self.dropout(self.attention(self.attention_norm(x), mask))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))  # type: ignore[no-any-return]

    def extend(self, x: Tensor, past: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """Return the output for steps `x`, `(B, T, width)`, that follow those in `past`, and all keys and values. It is
        for generation: no output is dropped."""
        seen, past = self.attention.extend(self.attention_norm(x), past)
        x = x + seen
        return x + self.mlp(self.mlp_norm(x)), past


class TransformerBlocks(nn.Module):
    """Blocks one on top of the other, and a last norm. `draw_weights` says how they are initialised.

    Args:
        width: features of a step.
        layers: number of blocks.
        heads: of each attention.
        causal: whether a step sees only itself and the steps before it.
        dropout: see `TransformerBlock`.
        bias: whether linear layers and norms have biases.
        rotary: see `SelfAttention`.
        shared: whether all layers are one block, with the same weights (Lan et al. 2020, section 3.1).
    """

    def __init__(
        self,
        width: int,
        layers: int,
        heads: int,
        *,
        causal: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
        rotary: RotaryPositions | None = None,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, causal=causal, dropout=dropout, bias=bias, rotary=rotary)
            for _ in range(1 if shared else layers)
        )
        self.rounds = layers if shared else 1
        self.norm = nn.LayerNorm(width, bias=bias)
        draw_weights(self.blocks, width, shortcuts=2 * layers)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return `(B, T, width)` for `x` `(B, T, width)` and a mask `(B, T)`, true where a step is real."""
        for block in self._in_order():
            x = block(x, mask)
        return self.norm(x)  # type: ignore[no-any-return]

    def extend(self, x: Tensor, past: Sequence[KeysValues] | None) -> tuple[Tensor, list[KeysValues]]:
        """Return the output for the steps `x`, `(B, T, width)`, that follow those in `past`, and the keys and values
        of all steps for each block."""
        extended = []
        for number, block in enumerate(self._in_order()):
            x, kept = block.extend(x, past[number] if past else None)  # type: ignore[operator]
            extended.append(kept)
        return self.norm(x), extended

    def weights(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return how much each step looks at each other one, `(layers, B, heads, T, T)`, for drawing. The weights of a
        step add up to 1."""
        found = []
        for block in self._in_order():
            found.append(block.attention.weights(block.attention_norm(x), mask))  # type: ignore[operator, union-attr]
            x = block(x, mask)
        return torch.stack(found)

    def _in_order(self) -> list[nn.Module]:
        return list(self.blocks) * self.rounds
