"""Precision, recall and coverage of generated images, by nearest neighbours among features."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

RECALL_NEIGHBOURS, COVERAGE_NEIGHBOURS = 3, 5
"""As in the two papers."""
ROWS = 500
"""Of a matrix of distances that are computed at a time."""


def precision_and_recall(real: Tensor, made: Tensor, k: int = RECALL_NEIGHBOURS) -> tuple[float, float]:
    """Return the share of generated examples that lie among the real ones, and of real ones among the generated
    (Kynkäänniemi et al. 2019, equation 1).

    An example lies among others if it is within the distance of one of them to its k-th neighbour. The features are
    `(N, F)` and `(M, F)`.
    """
    return _share_within(made, real, radii(real, k)), _share_within(real, made, radii(made, k))


def coverage(real: Tensor, made: Tensor, k: int = COVERAGE_NEIGHBOURS) -> float:
    """Return the share of real examples that have a generated one nearer than their k-th real neighbour (Naeem et al.
    2020, equation 9)."""
    return (nearest(real, made)[0] <= radii(real, k)).float().mean().item()


def nearest(features: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance of each of `(N, F)` to the nearest of `among`, `(M, F)`, and its place there."""
    found = [torch.cdist(rows, among).min(1) for rows in torch.split(features, ROWS)]
    return torch.cat([one.values for one in found]), torch.cat([one.indices for one in found])


def radii(features: Tensor, k: int) -> Tensor:
    """Return the distance of each of `(N, F)` to its k-th nearest neighbour, itself not counted, `(N,)`."""
    k = min(k, len(features) - 1)
    found = [
        torch.cdist(rows, features).topk(k + 1, largest=False).values[:, -1] for rows in torch.split(features, ROWS)
    ]
    return torch.cat(found)


def _share_within(points: Tensor, balls: Tensor, radius: Tensor) -> float:
    """The share of points that lie in a ball around one of `balls`."""

    def inside() -> Iterator[Tensor]:
        for rows in torch.split(points, ROWS):
            yield (torch.cdist(rows, balls) <= radius).any(1)

    return torch.cat(list(inside())).float().mean().item()
