"""Images with their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from lab.training.pictures import canvas, rendered
from supervised.detection.boxes import Found
from supervised.detection.precision import SURE

if TYPE_CHECKING:
    from PIL.Image import Image

INCHES, COLUMNS = 2.2, 4  # of an image; images in a row
TRUE, GUESS = "limegreen", "red"


def drawn(images: Tensor, things: Tensor, found: Sequence[Found], names: Sequence[str]) -> Image:
    """Return images `(B, C, H, W)` in [0, 1] with their true boxes `(B, M, 5)`, and the sure ones that were found with
    the names of their classes."""
    from matplotlib.patches import Rectangle

    rows = -(-len(images) // COLUMNS)
    figure = canvas(INCHES * COLUMNS, INCHES * rows)
    spaces = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for axes in spaces:
        axes.set_axis_off()
    for axes, image, truth, guesses in zip(spaces, images, things, found, strict=False):
        axes.imshow(image.cpu().clamp(0, 1).expand(3, -1, -1).permute(1, 2, 0).numpy(), interpolation="nearest")
        boxes = [(box[:4], TRUE, "") for box in truth if box[4] >= 0]
        boxes += [(box, GUESS, names[int(kind)]) for box, score, kind in zip(*guesses, strict=True) if score >= SURE]
        for box, colour, name in boxes:
            left, top, right, bottom = (value - 0.5 for value in box.tolist())  # pixels are centred at whole numbers
            axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color=colour, linewidth=1))
            axes.text(left, top, name, color=colour, fontsize=8, va="bottom")
    return rendered(figure)
