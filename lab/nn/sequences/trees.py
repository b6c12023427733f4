"""Trees of a batch as lists of nodes, sorted by depth, so that a network computes all nodes of one depth at once.

A tree of n nodes is two tensors `(n,)`: what stands at each node, and the place of its parent, counted from 1; that of
the root is 0. Each node comes after its parent, and siblings are in their own order. In pre-order, `(a b) c` has a
root, an inner node, `a`, `b` and `c`, whose parents are 0 1 2 2 1. The first nodes of a tree are a tree, and padding
may follow.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lab.errors import DataError

# Dimensions: B trees, N nodes of the largest, M nodes of one depth in all trees, K of the depth below.


class Level(NamedTuple):
    """The nodes of one depth in all trees of a batch.

    `nodes` are their places in the flattened batch, `(M,)`; `parents` the places of their parents among the nodes of
    the level above, `(M,)`; `ranks` how many siblings come before them, `(M,)`.
    """

    nodes: Tensor
    parents: Tensor
    ranks: Tensor


def levels(parents: Tensor, mask: Tensor | None = None, most: int | None = None) -> list[Level]:
    """Return the levels of trees, that of the roots first.

    Args:
        parents: of the nodes, `(B, N)`, int64, as above.
        mask: `(B, N)`, true where a node is real; the real ones stand first.
        most: children of a node; None for any number.

    Raises DataError where a node does not come after its parent, a tree has not one root, or a node has too many
    children.
    """
    count, nodes = parents.shape
    place = torch.arange(nodes, device=parents.device)
    real = torch.ones_like(parents, dtype=torch.bool) if mask is None else mask.bool()
    fits = (parents >= (place > 0)) & (parents <= place)
    if not bool((fits | ~real).all()):
        raise DataError(
            "the parent of each node must be 0 for the root, which comes first, and else the place of an earlier node, "
            f"counted from 1; received {parents[(~fits & real).any(1)][0].tolist()}"
        )
    up = parents * real
    depth = _depths(up)
    order = depth.masked_fill(~real, nodes).flatten().argsort(stable=True)
    # Places of parents in the flattened batch. Those of roots and padding mean nothing: they lie before their tree.
    above = (up - 1 + nodes * torch.arange(count, device=up.device)[:, None]).flatten()
    ranks = _ranks(above)
    if most is not None and (received := int(ranks[real.flatten()].max()) + 1) > most:
        raise DataError(f"a node of a tree must have at most {most} children, received {received}")
    within = torch.zeros_like(order)  # the place of each node in its level
    found, start = [], 0
    for size in depth[real].bincount().tolist():
        here = order[start : start + size]
        within[here] = torch.arange(size, device=here.device)
        found.append(Level(here, within[above[here]], ranks[here]))
        start += size
    return found


def _depths(up: Tensor) -> Tensor:
    """Return how many nodes are above each, `(B, N)`, by leaps that get twice as long (Wyllie 1979)."""
    leap = torch.cat([torch.zeros_like(up[:, :1]), up], 1)  # the place 0 is above the root, and leads to itself
    depth = (leap > 0).long()
    for _ in range(up.shape[1].bit_length()):
        depth, leap = depth + depth.gather(1, leap), leap.gather(1, leap)
    return depth[:, 1:]


def _ranks(groups: Tensor) -> Tensor:
    """Return how many earlier elements of `(n,)` are equal to each one."""
    order = groups.argsort(stable=True)
    ordered = groups[order]
    place = torch.arange(len(groups), device=groups.device)
    return torch.empty_like(order).scatter(0, order, place - torch.searchsorted(ordered, ordered))
