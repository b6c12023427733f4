"""Pictures that models show: grids of images, confusion matrices, and figures of matplotlib's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lab.console.wording import shown
from lab.errors import ConfigError
from lab.nn.spectrogram import LogMelSpectrogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCALE = 3  # screen pixels per image pixel: 28x28 is too small to judge
BETWEEN = 0.35  # grey of what lies between images
WIDEST = 2_400  # screen pixels of a grid, where its images are not larger themselves
LARGEST_MATRIX, READABLE = 16.0, 0.4
"""Inches of a confusion matrix, and of a cell that has room for its count."""
MOST_TICKS = 60
LETTER = 0.09  # inches of a letter in a name


def grid(images: Tensor, columns: int | None = None) -> Image.Image:
    """Lay out `(N, C, H, W)` in [0, 1], C of 1 or 3, as one picture; square unless `columns` is given."""
    images = images.detach().float().cpu().clamp(0, 1)
    count, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    gap = 1
    sheet = torch.full((channels, rows * (height + gap) + gap, columns * (width + gap) + gap), BETWEEN)
    for i, image in enumerate(images):
        top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        sheet[:, top : top + height, left : left + width] = image
    pixels = sheet.mul(255).round().to(torch.uint8).expand(3, -1, -1).permute(1, 2, 0).numpy()
    picture = Image.fromarray(pixels)
    scale = max(1, min(SCALE, WIDEST // picture.width))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def pictures(images: Tensor) -> list[Image.Image]:
    """Return each of `(N, C, H, W)` in [0, 1], C of 1 or 3, as a picture of its own size."""
    pixels = images.detach().float().cpu().clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1)
    return [Image.fromarray(one.squeeze(-1).numpy()) for one in pixels]


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches. It belongs to no window, and to no global state of matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def rendered(figure: Figure) -> Image.Image:
    """Return a figure as a picture."""
    drawing: Any = figure.canvas
    drawing.draw()  # `savefig` would draw it twice
    return Image.fromarray(np.asarray(drawing.buffer_rgba())[..., :3].copy())


def literal(name: str, longest: int = 24) -> str:
    """Return a name as matplotlib shows it: shortened, and with dollars that do not begin a formula."""
    return shown(name, longest).replace("$", r"\$")


def labels(names: Sequence[str], what: str = "class") -> list[str]:
    """Return names as matplotlib shows them: as `class 3` where its font lacks their letters, and with a number before
    them where two are the same once they are shortened. `what` they are names of."""
    from matplotlib import font_manager

    known = font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap()
    short = [literal(name) for name in names]
    if len(set(short)) < len(short):
        short = [f"{i}: {name}" for i, name in enumerate(short)]
    return [name if all(ord(letter) in known for letter in name) else f"{what} {i}" for i, name in enumerate(short)]


def draw_spectrogram(axes: Axes, samples: Tensor, rate: int) -> None:
    """Draw one sound `(T,)` of `rate` samples per second as a log-mel spectrogram: time in seconds to the right, high
    bands on top."""
    bands = next((n for n in (40, 20, 10, 5) if _wide_enough(n, rate)), 2)
    frames, _ = LogMelSpectrogram(rate, mels=bands, normalise="none")(samples.detach().float().cpu()[None])
    extent = (0, len(samples) / rate, 0, bands)
    axes.imshow(frames[0].T.numpy(), origin="lower", aspect="auto", cmap="magma", extent=extent)
    axes.set_yticks(())


def _wide_enough(bands: int, rate: int) -> bool:
    try:
        LogMelSpectrogram(rate, mels=bands)
    except ConfigError:
        return False
    return True


def confusion_matrix(counts: Tensor, names: Sequence[str] = ()) -> Image.Image:
    """Draw `(classes, classes)` counts, true class down and predicted class across; colour shows the mistakes.

    `names` are those of the classes, in order; by default their numbers.
    """
    counts = counts.cpu()
    classes = len(counts)
    share = counts / counts.sum(1, keepdim=True).clamp(min=1)
    mistakes = share.clone().fill_diagonal_(0)
    names = labels(names or [str(number) for number in range(classes)])
    cell = min(0.55, LARGEST_MATRIX / classes)  # in inches
    longest = LETTER * max(map(len, names))
    turned = longest > cell
    room = max(0.0, longest - 0.5)  # for names at the left, and below where they are turned
    figure = canvas(max(4.5, 1.5 + cell * classes) + room, max(3.5, 1.2 + cell * classes) + turned * 0.7 * room)
    axes = figure.add_subplot()
    drawn = axes.imshow(100 * mistakes.numpy(), cmap="Reds", vmin=0, vmax=max(1.0, 100 * float(mistakes.max())))
    for i in range(classes):
        for j in range(classes):
            if counts[i, j] and cell >= READABLE:
                dark = mistakes[i, j] > 0.6 * mistakes.max()
                weight = "bold" if i == j else "normal"
                colour = "white" if dark and i != j else "black"
                told = axes.text(
                    j, i, f"{int(counts[i, j])}", ha="center", va="center", color=colour, weight=weight, fontsize=9
                )
                told.set_in_layout(False)  # its cell has room for it, and measuring it takes as long as drawing it
    axes.set(xlabel="predicted", ylabel="true")
    places = range(0, classes, -(-classes // MOST_TICKS))
    shown = [names[i] for i in places]
    axes.set_xticks(places, shown)
    axes.set_yticks(places, shown)
    if turned:
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    accuracy = float(counts.diagonal().sum() / counts.sum().clamp(min=1))
    axes.set_title(f"{int(counts.sum()):,} examples, {accuracy:.2%} correct")
    figure.colorbar(drawn, label="mistakes, % of the true class", shrink=0.8)
    return rendered(figure)
