"""What a classifier of sounds shows: spectrograms with the true and the predicted class, and misclassified sounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from lab.data.batch import Batch
from lab.data.sound import Sound
from lab.training.pictures import canvas, draw_spectrogram, labels, rendered

if TYPE_CHECKING:
    from PIL.Image import Image

COLUMNS, MOST_DRAWN, MOST_HEARD = 4, 12, 6


class Judged(NamedTuple):
    """One example without padding, its true class, and the predicted one."""

    input: Tensor
    label: int
    predicted: int


def judged(batch: Batch, predicted: Tensor, chosen: Tensor) -> list[Judged]:
    """Return the examples of a batch at the indices `chosen`. `predicted` is `(B,)`."""
    inputs, labels = batch
    lengths = None if batch.mask is None else batch.mask.sum(1)  # type: ignore[union-attr]
    return [
        Judged(inputs[i] if lengths is None else inputs[i, : lengths[i]], int(labels[i]), int(predicted[i]))
        for i in chosen.tolist()
    ]


def spectrograms(examples: Sequence[Judged], rate: int, names: Sequence[str]) -> Image:
    """Draw up to 12 sounds as log-mel spectrograms, one second and more to the right and high bands on top; `rate` is
    in samples per second. The title of a mistake is red."""
    examples = examples[:MOST_DRAWN]
    names = labels(names)
    rows, columns = -(-len(examples) // COLUMNS), min(COLUMNS, len(examples))
    figure = canvas(2.6 * columns + 0.6, 2.1 * rows + 0.5)
    longest = max(len(one.input) for one in examples) / rate
    for axes, one in zip(figure.subplots(rows, columns, squeeze=False).flat, examples, strict=False):
        draw_spectrogram(axes, one.input, rate)
        wrong = one.label != one.predicted
        told = f"true {names[one.label]}, predicted {names[one.predicted]}"
        axes.set_title(told, fontsize=9, color="firebrick" if wrong else "black")
        axes.set_xlim(0, longest)
        axes.tick_params(labelsize=7)
    for axes in figure.axes[len(examples) :]:
        axes.set_visible(False)
    figure.supxlabel("seconds", fontsize=9)
    figure.supylabel(f"frequency, 0 to {rate // 2:,} Hz in mel", fontsize=9)
    return rendered(figure)


def heard(mistakes: Sequence[Judged], rate: int, names: Sequence[str]) -> dict[str, Sound]:
    """Return up to 6 misclassified sounds by what they are and what they were taken for."""
    return {
        f"mistake-{i}-true-{names[one.label]}-predicted-{names[one.predicted]}": Sound(one.input, rate)
        for i, one in enumerate(mistakes[:MOST_HEARD], start=1)
    }


def spread(count: int) -> Tensor:
    """Return up to 12 indices spread evenly over `count` examples."""
    return torch.linspace(0, count - 1, min(count, MOST_DRAWN)).round().long()
