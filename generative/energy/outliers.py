"""Images that are no examples of a data set: letters, and noise. A model of the data should find them improbable."""

from __future__ import annotations

from importlib import resources
from string import ascii_letters

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSansMono")
"""Of those that matplotlib brings along."""

LARGE = 96  # pixels of a letter before it is scaled down
MARGIN = 1 / 7  # of a side, above and below: as much as MNIST's digits have


def outliers(shape: tuple[int, int, int]) -> dict[str, Tensor]:
    """Return images by what they are, `letters` and `noise`: `(N, C, H, W)` in [0, 1], always the same."""
    uniform = torch.rand(1_000, *shape, generator=torch.Generator().manual_seed(0))
    return {"letters": letters(shape), "noise": uniform}


def letters(shape: tuple[int, int, int]) -> Tensor:
    """Return the 52 letters of English in six fonts as bright shapes on black, `(312, C, H, W)` in [0, 1].

    Each is scaled until it touches a frame that leaves out a seventh of the image on each side.
    """
    channels, height, width = shape
    drawn = [_letter(letter, font, height, width) for font in FONTS for letter in ascii_letters]
    return torch.from_numpy(np.stack(drawn)).float().div(255).unsqueeze(1).expand(-1, channels, -1, -1).contiguous()


def auroc(inside: Tensor, outside: Tensor) -> float:
    """Return the probability that one of the scores `outside`, `(M,)`, is larger than one `inside`, `(N,)`: 0.5 for
    scores that tell nothing."""
    from torchmetrics.functional.classification import binary_auroc

    scores = torch.cat([inside, outside]).double()
    rank = scores.argsort().argsort() / len(scores)  # within [0, 1], as torchmetrics would take other scores for logits
    truth = torch.cat([torch.zeros(len(inside)), torch.ones(len(outside))]).long()
    return float(binary_auroc(rank.cpu(), truth))


def _letter(letter: str, font: str, height: int, width: int) -> np.ndarray:
    path = resources.files("matplotlib").joinpath("mpl-data", "fonts", "ttf", f"{font}.ttf")
    with resources.as_file(path) as file:
        type_ = ImageFont.truetype(str(file), LARGE)
    left, top, right, bottom = type_.getbbox(letter)
    large = Image.new("L", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(large).text((-left, -top), letter, 255, type_)
    room = (round(width * (1 - 2 * MARGIN)), round(height * (1 - 2 * MARGIN)))
    scale = min(room[0] / large.width, room[1] / large.height)
    small = large.resize(
        (max(1, round(large.width * scale)), max(1, round(large.height * scale))), Image.Resampling.BOX
    )
    sheet = Image.new("L", (width, height))
    sheet.paste(small, ((width - small.width) // 2, (height - small.height) // 2))
    return np.asarray(sheet)
