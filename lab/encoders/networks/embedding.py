"""A vector for each token id."""

from __future__ import annotations

from torch import Tensor, nn

from lab.config.types import PositiveInt, Probability
from lab.data.spec import InputSpec, require_one_input
from lab.encoders.base import Encoder
from lab.errors import ConfigError
from lab.nn.pooling import SequencePool, pool_sequence


class Embedding(Encoder):
    """A vector for each token id, and nothing that mixes the steps of a sequence: a bag of words, after pooling.

    The spec is that of token ids `(T,)`. Sequences may be shorter than T, and have a mask that leaves out steps at the
    end. The initial vectors are uniform in ±1 / (2 width), as in the code of word2vec (Mikolov et al. 2013).

    Args:
        width: of the vectors, and `features_dim`.
        dropout: probability of dropping a number of a vector.
        pool: of the sequence to one vector.
    """

    takes_masks = True

    def __init__(
        self,
        spec: InputSpec,
        *,
        width: PositiveInt = 64,
        dropout: Probability = 0.0,
        pool: SequencePool = "mean",
    ) -> None:
        require_one_input(spec, "Embedding")
        super().__init__(spec)
        if spec.dtype != "int64" or len(spec.shape) != 1:
            raise ConfigError(f"Embedding needs token ids (T,), but the input is {spec.dtype} of shape {spec.shape}")
        self.embedding = nn.Embedding(spec.require_vocab("Embedding"), width)
        nn.init.uniform_(self.embedding.weight, -0.5 / width, 0.5 / width)
        self.dropout = nn.Dropout(dropout)
        self.features_dim, self.pool = width, pool

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return pool_sequence(self.features(x, mask), mask, self.pool)

    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the vector of each token, `(B, T, width)`."""
        return self.dropout(self.embedding(x))  # type: ignore[no-any-return]
