"""A linear probe for numbers: how much of what is behind an image a code tells (Alain & Bengio 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Dimensions: N examples, Z numbers of a code, V values.

PENALTY = 1.0  # on squared weights, per standard deviation of each number of a code


@dataclass(frozen=True)
class Ridge:
    """Ridge regression (Hoerl & Kennard 1970), in float64 on the CPU.

    Args:
        centre: mean of each number of a code, `(Z,)`.
        scale: its standard deviation, `(Z,)`; 1 where it never varies.
        weights: `(Z, V)`, for codes in these units.
        mean: of the values, `(V,)`.
    """

    centre: Tensor
    scale: Tensor
    weights: Tensor
    mean: Tensor

    def __call__(self, codes: Tensor) -> Tensor:
        """Return the values that codes `(N, Z)` tell, `(N, V)`."""
        return ((codes.cpu().double() - self.centre) / self.scale) @ self.weights + self.mean


def fit_ridge(codes: Tensor, values: Tensor, penalty: float = PENALTY) -> Ridge:
    """Fit values `(N, V)` by codes `(N, Z)`: least squares with `penalty` times the squared weights."""
    x, y = codes.cpu().double(), values.cpu().double()
    centre, mean, deviation = x.mean(0), y.mean(0), x.std(0, correction=0)
    scale = torch.where(deviation > 1e-8, deviation, 1.0)
    x = (x - centre) / scale
    gram = x.T @ x + penalty * torch.eye(x.shape[1], dtype=x.dtype)
    return Ridge(centre, scale, torch.linalg.solve(gram, x.T @ (y - mean)), mean)


def explained(told: Tensor, values: Tensor) -> Tensor:
    """Return R2 for each of the values `(N, V)`, `(V,)`: 1 less the squared error as a share of the variance. 1: told
    exactly. 0: as good as their mean."""
    y = values.cpu().double()
    return 1 - (told - y).square().sum(0) / (y - y.mean(0)).square().sum(0).clamp(min=1e-12)


def probed(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], names: Sequence[str], group: str = "test"
) -> dict[str, float]:
    """Return R2 of each named value by a probe that is fitted to the codes and values of `train`, for those of `test`:
    `test/angle_r2`."""
    shares = explained(fit_ridge(*train)(test[0]), test[1])
    return {f"{group}/{name}_r2": share for name, share in zip(names, shares.tolist(), strict=True)}
