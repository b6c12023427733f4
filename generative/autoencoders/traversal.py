"""Walks through the latents of a model: what changes in an image when one of them does."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL.Image import Image
from torch import Tensor

from lab.capabilities import Traverses
from lab.training.captions import captioned, named_rows

# Dimensions: N images, Z latents, R rows, P positions of a walk, C H W of an image.

EXTREMES = 0.01  # of the images lie below the start of a walk, and as many above its end
SHEET = 11  # positions on the sheet


@dataclass(frozen=True)
class Walks:
    """Images on the way through latents.

    Args:
        names: of the walks, R.
        images: `(R, P, C, H, W)` in [0, 1].
    """

    names: list[str]
    images: Tensor

    def sheet(self) -> Image:
        """Return a picture with one walk in each row."""
        positions = torch.linspace(0, self.images.shape[1] - 1, SHEET).round().long()
        return named_rows(self.images[:, positions].flatten(0, 1), self.names, SHEET)

    def film(self) -> list[Image]:
        """Return frames that show all walks at once, there and back."""
        forth = list(self.images.unbind(1))
        return [captioned(one, [[name] for name in self.names], "") for one in (*forth, *forth[-2:0:-1])]


def walk(model: Traverses, images: Tensor, *, latents: int = 10, between: int = 5, positions: int = 21) -> Walks:
    """Return walks along latents, and between images.

    Along a latent it goes from low to high values of test images, while the others stay as they are in the first image.
    Between two images all latents go in a straight line.

    Args:
        model: in eval mode.
        images: `(N, C, H, W)` in [0, 1] on the model's device; two at least.
        latents: the most that are walked along: those that differ most between images.
        between: the most pairs of images that are walked between.
        positions: images of a walk, two at least.
    """
    known = model.latents_of(images)  # (N, Z)
    chosen = known.var(0).argsort(descending=True)[:latents]
    low, high = torch.quantile(known, torch.tensor([EXTREMES, 1 - EXTREMES]).to(known), dim=0)  # (Z,) each
    steps = torch.linspace(0, 1, positions, device=known.device)[:, None]  # (P, 1)
    rows = []
    for latent in chosen:
        row = known[:1].repeat(positions, 1)
        row[:, latent] = low[latent] + (high[latent] - low[latent]) * steps[:, 0]
        rows.append(row)
    pairs = min(between, len(known) // 2)
    rows += [start + (end - start) * steps for start, end in zip(known[:pairs], known[pairs : 2 * pairs], strict=True)]
    drawn = model.images_of(torch.cat(rows)).view(len(rows), positions, *images.shape[1:])
    return Walks([f"latent {int(one)}" for one in chosen] + ["two images"] * pairs, drawn)
