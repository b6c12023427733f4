"""What a transcriber shows: spectrograms with the probabilities of the labels over time, and sounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from lab.data.sound import Sound
from lab.data.tokenizers.base import Tokenizer
from lab.training.pictures import canvas, draw_spectrogram, labels, rendered

if TYPE_CHECKING:
    from PIL.Image import Image

COLUMNS = 2
LEAST = 0.3
"""Probability from which the name of a label is written where it is highest."""


class Heard(NamedTuple):
    """One example.

    Args:
        sound: `(T,)`, without padding.
        probabilities: of each label and, last, the blank at each step, `(T', V + 1)`.
        true: its labels.
        predicted: the labels that were found.
    """

    sound: Tensor
    probabilities: Tensor
    true: Sequence[int]
    predicted: Sequence[int]


def drawn(examples: Sequence[Heard], rate: int, names: Sequence[str]) -> Image:
    """Draw sounds as log-mel spectrograms, and below each the probability of every label and, dotted, of the blank at
    each step of the encoder. The title of a mistake is red. `rate` is in samples per second."""
    names = labels(names)
    rows, columns = -(-len(examples) // COLUMNS), min(COLUMNS, len(examples))
    figure = canvas(6.4 * columns, 3.3 * rows)
    axes = figure.subplots(2 * rows, columns, squeeze=False)
    for i, one in enumerate(examples):
        above, below = axes[i // columns * 2, i % columns], axes[i // columns * 2 + 1, i % columns]
        seconds = len(one.sound) / rate
        draw_spectrogram(above, one.sound, rate)
        told = [" ".join(names[label] for label in some) or "nothing" for some in (one.true, one.predicted)]
        wrong = list(one.true) != list(one.predicted)
        above.set_title(f"true {told[0]}, predicted {told[1]}", fontsize=9, color="firebrick" if wrong else "black")
        above.set_ylabel("mel bands", fontsize=8)
        steps = len(one.probabilities)
        at = [(step + 0.5) * seconds / steps for step in range(steps)]
        below.plot(at, one.probabilities[:, -1], ":", color="grey", linewidth=1)
        for label in sorted({*one.true, *one.predicted}):
            line = one.probabilities[:, label]
            below.plot(at, line, linewidth=1.2, color=f"C{label % 10}")
            for step in _peaks(line):
                below.text(at[step], 1.03, names[label], ha="center", fontsize=8, color=f"C{label % 10}")
        below.set_ylim(0, 1.18)
        below.set_ylabel("probability", fontsize=8)
        for part in (above, below):
            part.set_xlim(0, seconds)
            part.tick_params(labelsize=7)
    for empty in axes.flat[-columns * 2 :] if len(examples) % columns else ():
        empty.set_visible(bool(empty.lines or empty.images))
    figure.supxlabel("seconds; grey: the blank", fontsize=9)
    return rendered(figure)


def _peaks(line: Tensor) -> Iterator[int]:
    """Yield the step of the highest probability in each stretch where a label is at least that probable."""
    best = -1
    for step, one in enumerate([*line.tolist(), 0.0]):
        if one < LEAST:
            if best >= 0:
                yield best
            best = -1
        elif best < 0 or one > line[best]:
            best = step


def played(what: str, examples: Sequence[Heard], rate: int, tokenizer: Tokenizer) -> Iterator[tuple[str, Sound]]:
    """Yield sounds with names that say what they are and what was heard."""
    for number, one in enumerate(examples, 1):
        true, predicted = (tokenizer.decode(some).replace(" ", "-") or "nothing" for some in (one.true, one.predicted))
        yield f"{what}-{number}-true-{true}-predicted-{predicted}", Sound(one.sound, rate)
