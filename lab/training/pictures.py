"""Pictures that models show: grids of images, confusion matrices, and figures of matplotlib's."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from lab.console.wording import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCALE = 3  # screen pixels per image pixel: 28x28 is too small to judge


def grid(images: Tensor, columns: int | None = None) -> Image.Image:
    """Lay out `(N, C, H, W)` in [0, 1], C of 1 or 3, as one picture; square unless `columns` is given."""
    images = images.detach().float().cpu().clamp(0, 1)
    count, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    gap = 1
    sheet = torch.full((channels, rows * (height + gap) + gap, columns * (width + gap) + gap), 0.35)
    for i, image in enumerate(images):
        top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        sheet[:, top : top + height, left : left + width] = image
    pixels = sheet.mul(255).round().to(torch.uint8).expand(3, -1, -1).permute(1, 2, 0).numpy()
    picture = Image.fromarray(pixels)
    return picture.resize((picture.width * SCALE, picture.height * SCALE), Image.Resampling.NEAREST)


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
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Image.open(buffer).convert("RGB")


def literal(name: str, longest: int = 24) -> str:
    """Return a name as matplotlib shows it: shortened, and with dollars that do not begin a formula."""
    return shown(name, longest).replace("$", r"\$")


def confusion_matrix(counts: Tensor, names: Sequence[str] = ()) -> Image.Image:
    """Draw `(classes, classes)` counts, true class down and predicted class across; colour shows the mistakes.

    `names` are those of the classes, in order; by default their numbers.
    """
    counts = counts.cpu()
    classes = len(counts)
    share = counts / counts.sum(1, keepdim=True).clamp(min=1)
    mistakes = share.clone().fill_diagonal_(0)
    names = [literal(name) for name in names] or [str(number) for number in range(classes)]
    figure = canvas(max(4.5, 1.5 + 0.55 * classes), max(3.5, 1.2 + 0.55 * classes))
    axes = figure.add_subplot()
    drawn = axes.imshow(100 * mistakes.numpy(), cmap="Reds", vmin=0, vmax=max(1.0, 100 * float(mistakes.max())))
    for i in range(classes):
        for j in range(classes):
            if counts[i, j]:
                dark = mistakes[i, j] > 0.6 * mistakes.max()
                weight = "bold" if i == j else "normal"
                colour = "white" if dark and i != j else "black"
                axes.text(
                    j, i, f"{int(counts[i, j])}", ha="center", va="center", color=colour, weight=weight, fontsize=9
                )
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_xticks(range(classes), names, rotation=45 if classes > 3 and max(map(len, names)) > 3 else 0)
    axes.set_yticks(range(classes), names)
    accuracy = float(counts.diagonal().sum() / counts.sum().clamp(min=1))
    axes.set_title(f"{int(counts.sum()):,} examples, {accuracy:.2%} correct")
    figure.colorbar(drawn, label="mistakes, % of the true class", shrink=0.8)
    return rendered(figure)
