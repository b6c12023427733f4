"""The picture that `lab data show` writes: some examples of each class, or charts of what the data hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lab.cli.data.charts import characters, columns, ratings, translations, windows
from lab.cli.data.finding import Found
from lab.cli.data.tally import CPU
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import Classes, Tokens, Values
from lab.training.pictures import canvas, draw_spectrogram, labels, rendered

MOST_CLASSES, EACH, SOUNDS_EACH = 20, 10, 3
LOOKED_AT = 20_000  # examples, in search of all classes
SIDE = 64  # screen pixels that the longer side of an image has at least
DOTS = 120  # of an inch
TITLE = 44  # screen pixels of a heading


class Example(NamedTuple):
    """One example without padding, and the number of its class, 0 where there are none."""

    input: Tensor
    label: int


def picture(every: Sequence[Found]) -> Image.Image | None:
    """Draw data: images, sounds as waveforms and spectrograms, and for others the charts of `lab.cli.data.charts`.

    Where they can be several things, as a csv can, each is drawn below the other, under its kind. None where there is
    nothing to draw.
    """
    drawn = [(found.kind, one) for found in every if (one := _one(found.data)) is not None]
    if len(drawn) < 2:
        return drawn[0][1] if drawn else None
    sheet = Image.new("RGB", (max(one.width for _, one in drawn), sum(one.height + TITLE for _, one in drawn)), "white")
    top = 0
    for kind, one in drawn:
        heading = canvas(sheet.width / DOTS, TITLE / DOTS)
        heading.set_layout_engine("none")
        heading.text(12 / sheet.width, 0.5, kind, ha="left", va="center", fontsize=12, weight="bold")
        sheet.paste(rendered(heading), (0, top))
        sheet.paste(one, (0, top + TITLE))
        top += TITLE + one.height
    return sheet


def _one(data: DataModule) -> Image.Image | None:
    form, target = data.spec.input, data.spec.target
    if isinstance(form, dict):
        drawn = ratings if isinstance(target, Values) else translations if isinstance(target, Tokens) else None
        return drawn(data) if drawn else None
    if isinstance(target, Tokens):
        text = getattr(data, "text", "")
        return characters(text) if text else None
    if form.dtype != "float32":
        return None
    if form.sample_rate:
        return _sounds(_chosen(data, SOUNDS_EACH), _names(data), form.sample_rate)
    if len(form.shape) == 3 and form.shape[0] in (1, 3):
        return _images(_chosen(data, EACH), _names(data))
    if len(form.shape) == 1 and isinstance(target, Classes):
        return columns(data, _names(data))
    if len(form.shape) == 2 and isinstance(target, Values):
        return windows(data, target)
    return None


def _chosen(data: DataModule, each: int) -> Mapping[int, Sequence[Example]]:
    """Return up to `each` examples of each of the first classes, by its number; training examples come first."""
    wanted = range(min(MOST_CLASSES, len(_names(data))))
    found: dict[int, list[Example]] = {label: [] for label in wanted}
    splits = (data.train(CPU, 0, batch_size=1), data.validation(CPU) or (), data.test(CPU))
    for example in islice(chain.from_iterable(map(_examples, chain.from_iterable(splits))), LOOKED_AT):
        if example.label in found and len(found[example.label]) < each:
            found[example.label].append(example)
            if all(len(examples) == each for examples in found.values()):
                break
    return {label: examples for label, examples in found.items() if examples}


def _examples(batch: Batch) -> Iterator[Example]:
    inputs, targets = batch
    for i in range(len(batch)):
        real = inputs[i] if not isinstance(batch.mask, Tensor) else inputs[i][batch.mask[i]]
        yield Example(real, int(targets[i]) if isinstance(targets, Tensor) and targets.ndim == 1 else 0)


def _names(data: DataModule) -> Sequence[str]:
    target = data.spec.target
    if isinstance(target, Classes):
        return labels(target.names or [str(number) for number in range(target.n)])
    return ("",)


def _images(chosen: Mapping[int, Sequence[Example]], names: Sequence[str]) -> Image.Image:
    """Draw images in a row for each class, with its name at the left."""
    _, height, width = next(iter(chosen.values()))[0].input.shape
    scale, gap = max(1, -(-SIDE // max(height, width))), 4
    high, wide = height * scale + gap, width * scale + gap
    columns = max(map(len, chosen.values()))
    sheet = np.full((high * len(chosen) + gap, wide * columns + gap, 3), 255, np.uint8)
    for row, examples in enumerate(chosen.values()):
        for column, (image, _) in enumerate(examples):
            pixels = image.mul(255).round().to(torch.uint8).expand(3, -1, -1).permute(1, 2, 0)
            large = pixels.repeat_interleave(scale, 0).repeat_interleave(scale, 1).numpy()
            top, left = gap + row * high, gap + column * wide
            sheet[top : top + height * scale, left : left + width * scale] = large
    return _beside(sheet, [names[label] for label in chosen], high)


def _beside(sheet: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], names: Sequence[str], high: int) -> Image.Image:
    """Return the sheet, pixel by pixel, with a name at the left of each row of `high` pixels."""
    longest = max(map(len, names))
    margin = 12 + 9 * longest if longest else 0
    figure = canvas((sheet.shape[1] + margin) / DOTS, sheet.shape[0] / DOTS)
    figure.set_layout_engine("none")
    figure.figimage(sheet, margin, 0)
    for row, name in enumerate(names):
        down = 1 - (row + 0.5) * high / sheet.shape[0]
        figure.text((margin - 6) / (sheet.shape[1] + margin), down, name, ha="right", va="center", fontsize=9)
    return rendered(figure)


def _sounds(chosen: Mapping[int, Sequence[Example]], names: Sequence[str], rate: int) -> Image.Image:
    """Draw sounds in a row for each class, each as its waveform above its spectrogram."""
    columns = max(map(len, chosen.values()))
    longest = max(len(one.input) for examples in chosen.values() for one in examples) / rate
    figure = canvas(3.0 * columns + 1.2, 1.9 * len(chosen) + 0.6)
    rows = figure.subplots(
        2 * len(chosen), columns, squeeze=False, sharex=True, gridspec_kw={"height_ratios": [1, 2] * len(chosen)}
    )
    for row, (label, examples) in enumerate(chosen.items()):
        for column in range(columns):
            wave, bands = rows[2 * row][column], rows[2 * row + 1][column]
            if column >= len(examples):
                wave.set_visible(False)
                bands.set_visible(False)
                continue
            samples = examples[column].input
            wave.plot(np.arange(len(samples)) / rate, samples.numpy(), linewidth=0.5, color="black")
            loudest = float(samples.abs().max()) or 1.0
            wave.set(ylim=(-loudest, loudest), yticks=())
            draw_spectrogram(bands, samples, rate)
            bands.set_xlim(0, longest)
            for axes in (wave, bands):
                axes.tick_params(labelsize=7)
        rows[2 * row + 1][0].set_ylabel(names[label], fontsize=9, rotation=0, ha="right", va="center")
    told = f"seconds; waveforms, each at its own scale, above frequencies from 0 to {rate // 2:,} Hz in mel"
    figure.supxlabel(told, fontsize=9)
    return rendered(figure)
