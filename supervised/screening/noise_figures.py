"""Figures of a word that is looked for in noise: error rates and curves by the noise, and examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lab.data.spoken.mixed import Condition
from lab.training.pictures import canvas, draw_spectrogram, rendered
from supervised.screening.in_noise import chosen, equal_error

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST, MOST = 0.001, 0.6
"""Shares between which misses and false alarms are drawn."""
TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)

Rates = dict[str, dict[float, float | None]]


def rates_by_kind(scores: Tensor, truth: Tensor, conditions: Sequence[Condition]) -> Rates:
    """Return the equal error rate for each kind of noise, and for all kinds together, at each ratio."""
    conditions = conditions[: len(scores)]
    kinds = [*dict.fromkeys(one.kind for one in conditions), "all"]
    ratios = sorted({one.ratio for one in conditions})
    found: Rates = {}
    for kind in kinds:
        found[kind] = {}
        for ratio in ratios:
            here = chosen(conditions, lambda one, k=kind, r=ratio: k in (one.kind, "all") and one.ratio == r)  # type: ignore[misc]
            found[kind][ratio] = equal_error(scores[here], truth[here])
    return found


def table(rates: Rates) -> str:
    """Return the rates as lines of text, a row for each kind of noise, in per cent."""
    ratios = list(next(iter(rates.values())))
    lines = ["equal error rate in %, by the kind of the noise and by how much weaker it is than the word"]
    lines.append("".join([f"{'noise':<8}", *(f"{ratio:>6g} dB" for ratio in ratios)]))
    for kind, row in rates.items():
        lines.append(
            "".join([f"{kind:<8}", *(f"{'-' if one is None else f'{100 * one:.2f}':>9}" for one in row.values())])
        )
    return "\n".join(lines)


def by_ratio(rates: Rates, word: str) -> Image:
    """Draw the rates over the ratio, a line for each kind of noise."""
    figure = canvas(6, 4.5)
    axes = figure.add_subplot()
    for kind, row in rates.items():
        known = {ratio: 100 * one for ratio, one in row.items() if one is not None}
        style = "k--o" if kind == "all" else "-o"
        axes.plot(list(known), list(known.values()), style, label=kind)
    axes.set(xlabel="decibels by which the noise is weaker than the word", ylabel="equal error rate, %")
    axes.set_title(f"the word {word}: misses = false alarms")
    axes.set_ylim(bottom=0)
    axes.legend(title="noise")
    axes.grid(alpha=0.3)
    return rendered(figure)


def detection(scores: Tensor, truth: Tensor, conditions: Sequence[Condition], word: str) -> Image:
    """Draw misses over false alarms at every threshold, a line for each ratio, on axes on which two normal
    distributions of scores give a straight line (Martin et al. 1997, the DET curve)."""
    from torchmetrics.functional.classification import binary_roc

    conditions = conditions[: len(scores)]
    figure = canvas(6, 5.5)
    axes = figure.add_subplot()
    for ratio in sorted({one.ratio for one in conditions}):
        here = chosen(conditions, lambda one, r=ratio: one.ratio == r)  # type: ignore[misc]
        rate = equal_error(scores[here], truth[here])
        if rate is None:
            continue
        alarms, found, _ = binary_roc(scores[here].contiguous(), truth[here])
        axes.plot(_warped(alarms), _warped(1 - found), drawstyle="steps-post", label=f"{ratio:g} dB: {rate:.2%}")
    ends = _warped(torch.tensor([LEAST, MOST]))
    axes.plot(ends, ends, ":", color="grey", label="misses = false alarms")
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks(_warped(torch.tensor(TICKS)), [f"{100 * one:g}" for one in TICKS])
    axes.set(xlabel="false alarms, % of the other words", ylabel=f"misses, % of the word {word}")
    axes.set(xlim=ends, ylim=ends)
    axes.legend(title="noise below the word: equal error rate")
    axes.grid(alpha=0.3)
    return rendered(figure)


def in_noise(sounds: Sequence[Tensor], titles: Sequence[str], wrong: Sequence[bool], rate: int) -> Image:
    """Draw sounds `(T,)` as log-mel spectrograms, three in a row. The title of a mistake is red."""
    rows = -(-len(sounds) // 3)
    figure = canvas(9, 2.1 * rows + 0.4)
    longest = max(map(len, sounds)) / rate
    drawn = zip(figure.subplots(rows, 3, squeeze=False).flat, sounds, titles, wrong, strict=False)
    for axes, sound, title, mistaken in drawn:
        draw_spectrogram(axes, sound, rate)
        axes.set_title(title, fontsize=9, color="firebrick" if mistaken else "black")
        axes.set_xlim(0, longest)
        axes.tick_params(labelsize=7)
    for axes in figure.axes[len(sounds) :]:
        axes.set_visible(False)
    figure.supxlabel("seconds", fontsize=9)
    figure.supylabel(f"frequency, 0 to {rate // 2:,} Hz in mel", fontsize=9)
    return rendered(figure)


def _warped(shares: Tensor) -> list[float]:
    """Return the quantiles of a normal distribution."""
    return torch.special.ndtri(shares.double().clamp(LEAST / 2, 1 - LEAST / 2)).tolist()  # type: ignore[no-any-return]
