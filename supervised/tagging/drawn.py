"""Sentences with their true and predicted spans, as a picture and as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from lab.training.captions import INK, PAPER, RED, font
from supervised.tagging.spans import Span

SHOWN, WIDTH = 12, 1_400  # sentences of a picture, and its pixels across
LETTERS, SMALL, EDGE, SPACE = 17, 12, 12, 8
"""Pixels: height of words and of labels, margin, and the space between words."""
ROW = 2 * SMALL + LETTERS + 30  # pixels of a row of words with what is above and below them
COLOURS = ((31, 119, 180), (204, 102, 0), (44, 140, 44), (130, 80, 170), (140, 86, 75), (0, 140, 150))


class Told(NamedTuple):
    """The words of a sentence, its true spans and the predicted ones."""

    words: Sequence[str]
    true: Sequence[Span]
    predicted: Sequence[Span]

    @property
    def wrong(self) -> bool:
        """Whether a span is missed or wrong."""
        return set(self.true) != set(self.predicted)


def written(told: Told) -> str:
    """Return the sentence with its true spans in brackets, and below it with the predicted ones."""
    return f"true:      {_bracketed(told.words, told.true)}\npredicted: {_bracketed(told.words, told.predicted)}"


def drawn(every: Sequence[Told]) -> Image.Image:
    """Draw the first sentences: true spans above the words and predicted ones below; these are red where they are
    wrong."""
    labels = sorted({span.label for told in every for span in (*told.true, *told.predicted)})
    colours = {label: COLOURS[number % len(COLOURS)] for number, label in enumerate(labels)}
    placed = [(told, list(_placed(told.words))) for told in every[:SHOWN]]
    rows = [max((row for row, _, _ in places), default=0) + 1 for _, places in placed]
    top = LETTERS + 2 * EDGE
    sheet = Image.new("RGB", (WIDTH, top + ROW * sum(rows) + EDGE * len(rows)), PAPER)
    draw = ImageDraw.Draw(sheet)
    heading = "above the words: true spans; below: predicted spans, red where label or ends are wrong"
    draw.text((EDGE, EDGE), heading, INK, font(LETTERS))
    for (told, places), count in zip(placed, rows, strict=True):
        for word, (row, left, _) in zip(told.words, places, strict=True):
            draw.text((left, top + row * ROW + SMALL + 14), word, INK, font(LETTERS))
        for span in told.true:
            _bar(draw, span, places, top, colours[span.label], above=True)
        for span in told.predicted:
            colour = colours[span.label] if span in told.true else RED
            _bar(draw, span, places, top, colour, above=False)
        top += count * ROW
        draw.line((EDGE, top + EDGE // 2, WIDTH - EDGE, top + EDGE // 2), (220, 220, 220))
        top += EDGE
    return sheet


def _placed(words: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Yield for each word its row, and its left and right end in pixels. A word is as wide as a label at least, so that
    labels of neighbours do not overlap."""
    row, left = 0, EDGE
    for word in words:
        wide = int(font(LETTERS).getlength(word)) + 1
        step = max(wide, 52)
        if left + step > WIDTH - EDGE and left > EDGE:
            row, left = row + 1, EDGE
        yield row, left, left + wide
        left += step + SPACE


def _bar(
    draw: ImageDraw.ImageDraw,
    span: Span,
    places: Sequence[tuple[int, int, int]],
    top: int,
    colour: tuple[int, int, int],
    *,
    above: bool,
) -> None:
    """Draw a line along the words of a span, and its label; in each row that the span has words in."""
    inside = places[span.first : span.end]
    for row in sorted({row for row, _, _ in inside}):
        ends = [(left, right) for own, left, right in inside if own == row]
        start, end = ends[0][0], ends[-1][1]
        upper = top + row * ROW
        line = upper + SMALL + 9 if above else upper + SMALL + LETTERS + 21
        draw.line((start, line, end, line), colour, 3)
        draw.text((start, upper + 2 if above else line + 4), span.label, colour, font(SMALL))


def _bracketed(words: Sequence[str], spans: Sequence[Span]) -> str:
    parts = list(words)
    for span in spans:
        parts[span.first] = f"[{parts[span.first]}"
        parts[span.end - 1] = f"{parts[span.end - 1]}]{span.label}"
    return " ".join(parts)
