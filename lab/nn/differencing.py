"""Series as standardised changes: logarithm, differences, scaling; and back to the unit of the series."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lab.errors import DataError
from lab.nn.scaling import Standardize


class Differencing(nn.Module):
    """Turns the steps of a series into changes that a network can predict, and predicted changes back into steps.

    A change is the difference from the step `lag` steps before, for each lag in turn (Box & Jenkins 1970): with lags 12
    and 1, the change since a year ago, less that of the month before. The changes are standardised. No lags leave the
    levels, standardised.

    Args:
        columns: of the series.
        lags: of the differences, in the order in which they are taken.
        log: take the logarithm first, so that changes are relative; all steps must be above 0.
    """

    def __init__(self, columns: int, *, lags: Sequence[int] = (), log: bool = False) -> None:
        super().__init__()
        self.lags, self.log = list(lags), log
        self.standardize = Standardize(columns)

    @property
    def lost(self) -> int:
        """Steps at the beginning that have no change, since the differences reach back over them."""
        return sum(self.lags)

    def fit(self, series: Tensor) -> None:
        """Take mean and deviation of the changes of a series, `(N, F)`. Raises DataError where it is too short, or not
        above 0 for a logarithm."""
        if len(series) <= self.lost:
            raise DataError(f"differences of {self.lags} need more than {self.lost} steps, received {len(series)}")
        if self.log and not (series > 0).all():
            raise DataError(f"a logarithm needs steps above 0, but the least is {float(series.min()):g}")
        self.standardize.fit(self._stages(series[None])[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Return the standardised changes `(B, T - lost, F)` of steps `(B, T, F)`."""
        return self.standardize(self._stages(x)[-1])  # type: ignore[no-any-return]

    def inverse(self, z: Tensor, past: Tensor) -> Tensor:
        """Return the steps `(B, H, F)` whose changes are `z`, `(B, H, F)`, after the steps `past`, `(B, T, F)`."""
        return self.integrate(self.standardize.inverse(z), past)

    def integrate(self, changes: Tensor, past: Tensor) -> Tensor:
        """Return the steps `(B, H, F)` that have these changes, which are not standardised, after the steps `past`."""
        stages = self._stages(past)
        for lag, level in zip(reversed(self.lags), reversed(stages[:-1]), strict=True):
            steps = list(level[:, -lag:].unbind(1))
            for change in changes.unbind(1):
                steps.append(steps[-lag] + change)
            changes = torch.stack(steps[lag:], 1)
        return changes.exp() if self.log else changes

    def _stages(self, x: Tensor) -> list[Tensor]:
        """Return the series, `(B, T, F)`, after the logarithm and after each of the differences."""
        stages = [x.log() if self.log else x]
        for lag in self.lags:
            stages.append(stages[-1][:, lag:] - stages[-1][:, :-lag])
        return stages
