"""Networks over trees: every node is computed of its token and its children, from the leaves to the root."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from lab.config.types import PositiveInt, Probability
from lab.data.spec import InputSpec
from lab.encoders.base import Encoder
from lab.errors import ConfigError
from lab.nn.sequences.tree_cells import BinaryLSTM, Children, ChildSumLSTM, Recursive, RecursiveTensor, State
from lab.nn.sequences.trees import levels

Cell = Literal["child_sum", "binary", "recursive", "tensor"]

CELLS: dict[Cell, Callable[[int, int], ChildSumLSTM | BinaryLSTM | Recursive]] = {
    "child_sum": ChildSumLSTM,
    "binary": BinaryLSTM,
    "recursive": lambda inputs, width: Recursive(width),
    "tensor": lambda inputs, width: RecursiveTensor(width),
}

PARTS = {"tokens", "parents"}
DEVIATION = 0.1
"""Of the initial vectors of tokens."""


class Tree(Encoder):
    """A recursive network over trees with a token at each node. All nodes of one depth, in all trees of a batch, are
    computed at once.

    Its spec has two parts, `tokens` and `parents`, both int64 of shape `(N,)` for trees of at most N nodes, and N is
    the vocab of `parents`. Each node comes after its parent, and parents are counted from 1, as
    `lab.nn.sequences.trees` says. Where inner nodes have no word, they have one token in common. Inputs and masks are
    dicts with these keys.

    Args:
        cell: `child_sum` or `binary` Tree-LSTM (Tai et al. 2015), `recursive` network or recursive `tensor` network
            (Socher et al. 2013). All but the first take at most two children, in order.
        width: of every node, and `features_dim`.
        embedding: width of the vectors that stand for tokens; null for `width`, which `recursive` and `tensor` need.
        dropout: probability of dropping a feature of these vectors.
    """

    spec: dict[str, InputSpec]  # type: ignore[assignment]
    takes_masks = True

    def __init__(
        self,
        spec: dict[str, InputSpec],
        *,
        cell: Cell = "child_sum",
        width: PositiveInt = 128,
        embedding: PositiveInt | None = None,
        dropout: Probability = 0.0,
    ) -> None:
        _require_trees(spec)
        super().__init__(spec)  # type: ignore[arg-type]
        if embedding not in (None, width) and cell in ("recursive", "tensor"):
            raise ConfigError(f"the cell {cell} needs an embedding as wide as its nodes, {width}, received {embedding}")
        self.features_dim = width
        self.embedding = nn.Embedding(spec["tokens"].require_vocab("Tree"), embedding or width)
        nn.init.normal_(self.embedding.weight, std=DEVIATION)
        self.dropout = nn.Dropout(dropout)
        self.cell = CELLS[cell](embedding or width, width)

    def forward(self, x: dict[str, Tensor], mask: dict[str, Tensor] | None = None) -> Tensor:  # type: ignore[override]
        """Return the features of the roots, `(B, width)`.

        Raises DataError where parents are no tree, or where a node has more children than the cell takes.
        """
        return self.features(x, mask)[:, 0]

    def features(self, x: dict[str, Tensor], mask: dict[str, Tensor] | None = None) -> Tensor:  # type: ignore[override]
        """Return the features of all nodes, `(B, N, width)`; zeros where the mask is false."""
        tokens, parents = x["tokens"], x["parents"]
        vectors = self.dropout(self.embedding(tokens)).flatten(0, 1)
        children: Children | None = None
        found = []
        for level in reversed(depths := levels(parents, mask["parents"] if mask else None, self.cell.most_children)):
            state: State = self.cell(vectors[level.nodes], children)
            children = Children(state, level.parents, level.ranks)
            found.append(state[0])
        places = torch.cat([level.nodes for level in reversed(depths)])
        whole = vectors.new_zeros(len(vectors), self.features_dim)
        whole = whole.index_copy(0, places, torch.cat(found))
        return whole.view(*tokens.shape, self.features_dim)  # type: ignore[no-any-return]


def _require_trees(spec: object) -> None:
    """Raise ConfigError where a spec is not that of trees."""
    wanted = "Tree needs the parts tokens and parents, both int64 of one shape (N,), and N as the vocab of parents"
    if not isinstance(spec, dict) or spec.keys() != PARTS:
        told = f"the parts {', '.join(sorted(spec))}" if isinstance(spec, dict) else "one input"
        raise ConfigError(f"{wanted}; received {told}")
    tokens, parents = spec["tokens"], spec["parents"]
    shape = parents.shape
    if not (tokens.dtype == parents.dtype == "int64" and tokens.shape == shape == (parents.vocab,)):
        raise ConfigError(
            f"{wanted}; received tokens {tokens.dtype} of shape {tokens.shape}, and parents {parents.dtype} of shape "
            f"{shape} with vocab {parents.vocab}"
        )
