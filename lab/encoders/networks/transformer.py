"""The Transformer, over sequences of token ids or of vectors."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lab.config.roles import Roles
from lab.config.types import PositiveFloat, PositiveInt, Probability
from lab.data.spec import InputSpec, require_one_input
from lab.encoders.base import Encoder
from lab.errors import ConfigError
from lab.nn.pooling import SequencePool, pool_sequence
from lab.nn.sequences.attention import KeysValues
from lab.nn.sequences.positions import LearnedPositions, Positions, RotaryPositions, SinusoidalPositions
from lab.nn.sequences.transformer import DEVIATION, TransformerBlocks


class Transformer(Encoder):
    """Blocks of self-attention (Vaswani et al. 2017), with the norm before each part.

    The spec is that of a sequence, `(T, F)`, or token ids `(T,)`. Sequences may be shorter than T, and have a mask
    that leaves out steps at the end.

    Args:
        width: features of every step, and `features_dim`.
        layers: number of blocks.
        heads: of each block's attention; the width must be divisible by them.
        causal: whether a step sees only itself and the steps before it.
        positions: `learned`, `sinusoidal` or `rotary` (`lab.nn.sequences.positions`).
        dropout: probability of dropping an input, an attention weight, or an output of a block's parts.
        bias: whether linear layers and norms have biases.
        pool: of the sequence to one vector.
        shared: whether all blocks have the same weights (Lan et al. 2020).
        deviation: standard deviation of the vectors of tokens at first. Few tokens, such as characters, are learned
            sooner where it is larger.
    """

    roles = Roles(added={"shared": False, "deviation": DEVIATION})
    takes_masks = True

    def __init__(
        self,
        spec: InputSpec,
        *,
        width: PositiveInt = 128,
        layers: PositiveInt = 4,
        heads: PositiveInt = 4,
        causal: bool = False,
        positions: Positions = "learned",
        dropout: Probability = 0.0,
        bias: bool = True,
        pool: SequencePool = "mean",
        shared: bool = False,
        deviation: PositiveFloat = DEVIATION,
    ) -> None:
        require_one_input(spec, "Transformer")
        super().__init__(spec)
        self.features_dim, self.causal, self.pool = width, causal, pool
        self.embedding: nn.Embedding | None = None
        self.projection: nn.Linear | None = None
        if spec.dtype == "int64" and len(spec.shape) == 1:
            self.embedding = nn.Embedding(spec.require_vocab("Transformer"), width)
            nn.init.normal_(self.embedding.weight, std=deviation)
        elif spec.dtype == "float32" and len(spec.shape) == 2:
            self.projection = nn.Linear(spec.shape[1], width)
        else:
            raise ConfigError(
                f"Transformer needs sequences (T, F) or token ids (T,), but the input is {spec.dtype} of shape "
                f"{spec.shape}"
            )
        self.length = spec.shape[0]
        self.positions: nn.Module | None = None
        if positions == "learned":
            self.positions = LearnedPositions(self.length, width)
            nn.init.normal_(self.positions.weight, std=DEVIATION)
        elif positions == "sinusoidal":
            self.positions = SinusoidalPositions(self.length, width)
        rotary = RotaryPositions(self.length, width // heads) if positions == "rotary" else None
        self.dropout = nn.Dropout(dropout)
        self.blocks = TransformerBlocks(
            width, layers, heads, causal=causal, dropout=dropout, bias=bias, rotary=rotary, shared=shared
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return pool_sequence(self.features(x, mask), mask, self.pool)

    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the output at each step, `(B, T, width)`. Where the mask is false, the output has no meaning."""
        return self.blocks(self._embedded(x, 0), mask)  # type: ignore[no-any-return]

    def extend(self, x: Tensor, past: Sequence[KeysValues] | None = None) -> tuple[Tensor, list[KeysValues]]:
        """Return the output at the steps `x`, `(B, T)` or `(B, T, F)`, that follow those in `past`; and the past of
        the steps that follow these. All steps together are at most as many as the spec has.

        Raises ConfigError where attention is not causal: earlier outputs would change.
        """
        if not self.causal:
            raise ConfigError("only a causal Transformer can go on from earlier steps; this one has causal: false")
        return self.blocks.extend(self._embedded(x, past[0][0].shape[2] if past else 0), past)

    def _embedded(self, x: Tensor, start: int) -> Tensor:
        """Return the steps as vectors with positions, `(B, T, width)`; the first is at position `start`."""
        if (end := start + x.shape[1]) > self.length:
            raise ConfigError(f"Transformer takes sequences of at most {self.length} steps, received {end}")
        embed = self.projection if self.embedding is None else self.embedding
        assert embed is not None
        steps: Tensor = embed(x)
        if self.positions is not None:
            steps = self.positions(steps, start)
        return self.dropout(steps)  # type: ignore[no-any-return]
