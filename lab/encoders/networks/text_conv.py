"""Convolutions of several widths over the words of a text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.config.types import PositiveInt, Probability
from lab.data.spec import InputSpec, require_one_input
from lab.encoders.base import Encoder
from lab.errors import ConfigError
from lab.nn.pooling import SequencePool, pool_sequence

DEVIATION = 0.1
"""Standard deviation of the initial vectors of tokens, about that of the paper's code."""


class TextConv(Encoder):
    """Vectors of token ids, filters that each see some neighbouring ones, and for each filter its maximum over time
    (Kim 2014).

    The spec is that of token ids `(T,)`. Sequences may be shorter than T, and have a mask that leaves out steps at the
    end. Beyond both ends there are zeros, so that a sequence may also be shorter than a filter.

    Args:
        embedding: width of the vectors that stand for token ids.
        widths: of the filters: how many neighbouring tokens they see.
        filters: of each width; `features_dim` is this times the number of widths.
        embedding_dropout: probability of dropping a number of a token's vector.
        dropout: probability of dropping a feature after pooling, as the paper has it (0.5).
        pool: of the sequence to one vector; `max` in the paper.
    """

    takes_masks = True

    def __init__(
        self,
        spec: InputSpec,
        *,
        embedding: PositiveInt = 128,
        widths: Sequence[PositiveInt] = (3, 4, 5),
        filters: PositiveInt = 100,
        embedding_dropout: Probability = 0.0,
        dropout: Probability = 0.0,
        pool: SequencePool = "max",
    ) -> None:
        require_one_input(spec, "TextConv")
        super().__init__(spec)
        if spec.dtype != "int64" or len(spec.shape) != 1:
            raise ConfigError(f"TextConv needs token ids (T,), but the input is {spec.dtype} of shape {spec.shape}")
        if not widths:
            raise ConfigError("TextConv needs filters of at least one width, received none")
        self.embedding = nn.Embedding(spec.require_vocab("TextConv"), embedding)
        nn.init.normal_(self.embedding.weight, std=DEVIATION)
        self.convolutions = nn.ModuleList(nn.Conv1d(embedding, filters, width) for width in widths)
        self.widths, self.pool = tuple(widths), pool
        self.embedding_dropout, self.dropout = nn.Dropout(embedding_dropout), nn.Dropout(dropout)
        self.features_dim = filters * len(self.widths)

    def layers_in_order(self) -> list[list[nn.Parameter]]:
        return [[*self.embedding.parameters()], [*self.convolutions.parameters()]]

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.dropout(pool_sequence(self.features(x, mask), mask, self.pool))  # type: ignore[no-any-return]

    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what the filters say around each token, `(B, T, features_dim)`. It has no meaning where the mask is
        false."""
        vectors = self.embedding_dropout(self.embedding(x))  # (B, T, E)
        if mask is not None:
            vectors = vectors.masked_fill(~mask.bool()[..., None], 0)
        seen = [
            convolution(F.pad(vectors.transpose(1, 2), ((width - 1) // 2, width // 2)))  # (B, filters, T)
            for convolution, width in zip(self.convolutions, self.widths, strict=True)
        ]
        return torch.relu(torch.cat(seen, 1)).transpose(1, 2)
