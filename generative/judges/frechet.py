"""Fréchet distance between two sets of features."""

from __future__ import annotations

from torch import Tensor, nn


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Return the squared Fréchet distance between Gaussians fitted to features `(N, F)` and `(M, F)`.

    |mean_a - mean_b|^2 + trace(C_a + C_b - 2 (C_a C_b)^(1/2)) (Dowson & Landau 1982; Heusel et al. 2017), computed by
    torchmetrics in float64. With Inception features this is the published FID; with other features it is another
    quantity and needs another name.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance  # with what it imports, a second

    distance = FrechetInceptionDistance(feature=_Given(a.shape[1]))
    distance.update(a.cpu().double(), real=True)  # in this order: MPS has no float64
    distance.update(b.cpu().double(), real=False)
    return float(distance.compute())


class _Given(nn.Module):
    """Features of features: they are computed already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features
