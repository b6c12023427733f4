"""Networks that write a sequence while they look at another one: their contract, and the Transformer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from lab.config.types import PositiveInt, Probability
from lab.nn.sequences.positions import LearnedPositions, Positions, RotaryPositions, SinusoidalPositions
from lab.nn.sequences.transformer import DEVIATION
from lab.nn.sequences.transformer_decoder import TransformerDecoder

# Dimensions: B examples, T steps that are written, S steps of the memory, E numbers of a token's vector.


class SequenceDecoder(nn.Module, ABC):
    """From the vectors of the tokens so far, and a memory such as an encoded source, to features of the next token.

    What it keeps of a memory and its state are tensors whose first axis is the batch, or tuples, lists or dicts of
    such, so that `lab.nn.sequences.beam_search` can repeat and reorder them. No step sees a later one.

    Args:
        inputs: numbers of a token's vector, E.
        memory: features of a step of the memory.
        length: of the longest sequence that is written.
    """

    features_dim: int

    def __init__(self, inputs: int, memory: int, length: int) -> None:
        super().__init__()

    @abstractmethod
    def remember(self, memory: Tensor, mask: Tensor | None = None) -> Any:
        """Return what is computed once of a memory `(B, S, F)` whose mask `(B, S)` is true where a step is real."""

    @abstractmethod
    def forward(self, x: Tensor, remembered: Any) -> Tensor:
        """Return features `(B, T, features_dim)` for the vectors of tokens `(B, T, E)`. Padding comes at the end."""

    @abstractmethod
    def extend(self, x: Tensor, state: Any, remembered: Any) -> tuple[Tensor, Any]:
        """Return the same for steps that follow those before `state`, None at the start; and the state after them."""

    @abstractmethod
    def weights(self, x: Tensor, remembered: Any) -> Tensor:
        """Return how much each step looks at each step of the memory, `(B, T, S)`; those of a step add up to 1."""


SequenceDecoderFactory = Callable[[int, int, int], SequenceDecoder]
"""How a config gives such a decoder: a class with its settings. It is called with the three numbers above."""


class CausalTransformer(SequenceDecoder):
    """Blocks of causal self-attention and attention to the memory (Vaswani et al. 2017, section 3.1), the norm before
    each part.

    Args:
        layers: number of blocks.
        heads: of each attention; the width of the tokens' vectors must be divisible by them.
        positions: `learned`, `sinusoidal` or `rotary` (`lab.nn.sequences.positions`).
        dropout: probability of dropping an input, an attention weight, or an output of a block's parts.
        bias: whether linear layers and norms have biases.
    """

    def __init__(
        self,
        inputs: int,
        memory: int,
        length: int,
        *,
        layers: PositiveInt = 3,
        heads: PositiveInt = 4,
        positions: Positions = "learned",
        dropout: Probability = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__(inputs, memory, length)
        self.features_dim = inputs
        self.positions: nn.Module | None = None
        if positions == "learned":
            self.positions = LearnedPositions(length, inputs)
            nn.init.normal_(self.positions.weight, std=DEVIATION)
        elif positions == "sinusoidal":
            self.positions = SinusoidalPositions(length, inputs)
        rotary = RotaryPositions(length, inputs // heads) if positions == "rotary" else None
        self.dropout = nn.Dropout(dropout)
        self.blocks = TransformerDecoder(
            inputs, layers, heads, memory_width=memory, dropout=dropout, bias=bias, rotary=rotary
        )

    def remember(self, memory: Tensor, mask: Tensor | None = None) -> Any:
        return self.blocks.remember(memory), mask

    def forward(self, x: Tensor, remembered: Any) -> Tensor:
        memory, mask = remembered
        return self.blocks(self._placed(x, 0), memory, memory_mask=mask)  # type: ignore[no-any-return]

    def extend(self, x: Tensor, state: Any, remembered: Any) -> tuple[Tensor, Any]:
        memory, mask = remembered
        before = state[0][0].shape[2] if state else 0
        return self.blocks.extend(self._placed(x, before), state, memory, mask)

    def weights(self, x: Tensor, remembered: Any) -> Tensor:
        """Return those of the last block, the mean over its heads."""
        memory, mask = remembered
        return self.blocks.weights(self._placed(x, 0), memory, memory_mask=mask)[-1].mean(1)

    def _placed(self, x: Tensor, start: int) -> Tensor:
        placed: Tensor = x if self.positions is None else self.positions(x, start)
        return self.dropout(placed)  # type: ignore[no-any-return]
