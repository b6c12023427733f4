"""Pictures of forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from lab.training.pictures import canvas, labels, literal, rendered

if TYPE_CHECKING:
    from PIL.Image import Image

Ends = tuple[Tensor, Tensor]
"""The lower and the upper end of the bands, `(N, H, F)` each."""

MOST_COLUMNS = 4  # that are drawn
TICKS, LETTERS = 8, 110  # at most, along the axis of time
LONGEST = 400  # steps that are drawn in one row: more cannot be told apart
WINDOWS = 4


def drawn_forecasts(
    predicted: Tensor, came: Tensor, ends: Ends, times: Sequence[str], names: Sequence[str]
) -> dict[str, Image]:
    """Draw forecasts of windows that begin one step after another.

    Args:
        predicted: `(N, H, F)` on the CPU.
        came: the same steps as they were.
        ends: of the bands.
        times: labels of the steps, from the first predicted one on.
        names: of the F columns.
    """
    drawn = {"forecast": forecast_chart(predicted, came, ends, times, names)}
    if predicted.shape[1] > 1:
        drawn["windows"] = window_chart(predicted, came, ends, names)
    return drawn


def forecast_chart(predicted: Tensor, came: Tensor, ends: Ends, times: Sequence[str], names: Sequence[str]) -> Image:
    """Draw forecasts beside what came, with their bands, and the errors below, for each of the first columns.

    Of windows that overlap, each H-th is drawn, so that every step has one forecast; of long tests the last steps. See
    `drawn_forecasts`.
    """
    horizon, columns = predicted.shape[1], min(predicted.shape[2], MOST_COLUMNS)
    chained = [steps[::horizon].flatten(0, 1) for steps in (predicted, came, *ends)]  # (n, F)
    begin = max(0, len(chained[0]) - LONGEST)
    ahead, truth, low, high = (steps[begin:].numpy() for steps in chained)
    times = times[begin:]
    figure = canvas(9, 1 + 3.4 * columns)
    rows = figure.subplots(2 * columns, 1, sharex=True, squeeze=False, height_ratios=[3, 1] * columns)[:, 0]
    for column, name in enumerate(labels(names[:columns], "column")):
        levels, errors = rows[2 * column : 2 * column + 2]
        levels.fill_between(range(len(truth)), low[:, column], high[:, column], color="tab:orange", alpha=0.2, lw=0)
        levels.plot(truth[:, column], color="black", linewidth=1.2, label="what came")
        levels.plot(ahead[:, column], color="tab:orange", linewidth=1.2, label="forecast and its band")
        levels.set_ylabel(name)
        levels.legend(loc="upper left")
        error = ahead[:, column] - truth[:, column]
        errors.fill_between(
            range(len(error)), error, step="mid", color="tab:orange", lw=0
        )  # bars would be patches each
        errors.axhline(0, color="black", linewidth=0.8)
        errors.set_ylabel("error")
        levels.grid(alpha=0.3)
        errors.grid(alpha=0.3)
        far = "1 step ahead" if horizon == 1 else f"{horizon} steps ahead"
        levels.set_title(f"{far}, RMSE {(error**2).mean() ** 0.5:.4g} over these steps")
    every = -(-len(truth) // min(TICKS, max(1, LETTERS // (len(times[0]) + 2))))
    rows[-1].set_xticks(range(0, len(truth), every), [literal(times[at]) for at in range(0, len(truth), every)])
    return rendered(figure)


def window_chart(predicted: Tensor, came: Tensor, ends: Ends, names: Sequence[str]) -> Image:
    """Draw some forecasts, each after the H steps before it, with their bands: a row for each of the first columns. See
    `drawn_forecasts`."""
    count, horizon, columns = predicted.shape
    columns = min(columns, MOST_COLUMNS)
    first = min(horizon, count - 1)  # the first window whose H steps before are targets of another one
    shown = sorted({first + i * (count - 1 - first) // (WINDOWS - 1) for i in range(WINDOWS)})
    figure = canvas(3.2 * len(shown), 1 + 2.2 * columns)
    axes = figure.subplots(columns, len(shown), sharex=True, squeeze=False)
    for column, (row, name) in enumerate(zip(axes, labels(names[:columns], "column"), strict=True)):
        for place, window in zip(row, shown, strict=True):
            ahead = range(1, horizon + 1)
            low, high = (end[window, :, column].numpy() for end in ends)
            place.fill_between(ahead, low, high, color="tab:orange", alpha=0.2, lw=0)
            before = came[max(0, window - horizon), : min(horizon, window), column].numpy()
            place.plot(range(1 - len(before), 1), before, color="black", linewidth=1)
            place.plot(ahead, came[window, :, column].numpy(), color="black", linewidth=1, label="what came")
            place.plot(ahead, predicted[window, :, column].numpy(), color="tab:orange", label="forecast and its band")
            place.axvline(0.5, color="0.6", linewidth=0.8)
            place.grid(alpha=0.3)
        row[0].set_ylabel(name)
    axes[0, 0].legend(loc="upper left", fontsize="small")
    for place in axes[-1]:
        place.set_xlabel("steps ahead")
    return rendered(figure)
