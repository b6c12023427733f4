"""Pictures of forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from lab.training.pictures import canvas, labels, literal, rendered

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_COLUMNS = 4  # that are drawn
TICKS = 8


def forecast_chart(predicted: Tensor, came: Tensor, times: Sequence[str], names: Sequence[str]) -> Image:
    """Draw forecasts beside what came, and the errors below, for each of the first columns.

    Of windows that overlap, each H-th is drawn, so that every step has one forecast.

    Args:
        predicted: `(N, H, F)` on the CPU, of windows that begin one step after another.
        came: the same steps as they were.
        times: labels of the steps, from the first predicted one on.
        names: of the F columns.
    """
    horizon, columns = predicted.shape[1], min(predicted.shape[2], MOST_COLUMNS)
    ahead, truth = (steps[::horizon].flatten(0, 1).numpy() for steps in (predicted, came))  # (n, F)
    figure = canvas(9, 1 + 3.4 * columns)
    rows = figure.subplots(2 * columns, 1, sharex=True, squeeze=False, height_ratios=[3, 1] * columns)[:, 0]
    for column, name in enumerate(labels(names[:columns], "column")):
        levels, errors = rows[2 * column : 2 * column + 2]
        levels.plot(truth[:, column], color="black", linewidth=1.2, label="what came")
        levels.plot(ahead[:, column], color="tab:orange", linewidth=1.2, label="forecast")
        levels.set_ylabel(name)
        levels.legend(loc="upper left")
        error = ahead[:, column] - truth[:, column]
        errors.bar(range(len(error)), error, color="tab:orange")
        errors.axhline(0, color="black", linewidth=0.8)
        errors.set_ylabel("error")
        levels.grid(alpha=0.3)
        errors.grid(alpha=0.3)
        levels.set_title(f"{horizon} {'step' if horizon == 1 else 'steps'} ahead, RMSE {(error**2).mean() ** 0.5:.4g}")
    every = max(1, len(truth) // TICKS)
    rows[-1].set_xticks(range(0, len(truth), every), [literal(times[at]) for at in range(0, len(truth), every)])
    return rendered(figure)
