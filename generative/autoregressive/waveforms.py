"""Sounds of several classes as a picture: waveforms, and spectrograms below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from lab.training.pictures import canvas, draw_spectrogram, labels, rendered

if TYPE_CHECKING:
    from PIL.Image import Image

MOST = 10  # classes that are shown


def waveforms(rows: Mapping[str, Mapping[int, Tensor]], rate: int, names: Sequence[str]) -> Image:
    """Draw sounds `(T_i,)` in [-1, 1] as waveforms, with their log-mel spectrograms below: one class a column.

    Args:
        rows: what each row shows, by its name: sounds by their class.
        rate: samples per second.
        names: of the classes, in order.
    """
    columns = min(MOST, len(names))
    shown = labels(names)[:columns]
    longest = max(len(sound) for sounds in rows.values() for sound in sounds.values()) / rate
    figure = canvas(1.5 * columns + 0.6, 2.2 * len(rows) + 0.5)
    grid = figure.subplots(2 * len(rows), columns, squeeze=False, height_ratios=[2, 3] * len(rows))
    for i, (row, sounds) in enumerate(rows.items()):
        for label in range(columns):
            wave, bands = grid[2 * i, label], grid[2 * i + 1, label]
            for axes in (wave, bands):
                axes.set_xlim(0, longest)
                axes.set_xticks(())
                axes.set_yticks(())
            if label in sounds:
                sound = sounds[label].detach().float().cpu()
                wave.plot([n / rate for n in range(len(sound))], sound.numpy(), linewidth=0.4)
                wave.set_ylim(-1, 1)
                draw_spectrogram(bands, sound, rate)
                bands.set_xlim(0, longest)
            if not i:
                wave.set_title(shown[label], fontsize=9)
            bands.set_xticks((0, longest), ("0", f"{longest:.1f}") if i == len(rows) - 1 else ("", ""), fontsize=7)
        grid[2 * i, 0].set_ylabel(row, fontsize=8)
    figure.supxlabel("seconds", fontsize=9)
    return rendered(figure)
