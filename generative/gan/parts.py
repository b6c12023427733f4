"""What is given of an image that a network is to draw, and what a sceptic would draw instead of a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from generative.gan.drawn import Draw
from lab.config.types import PositiveInt, Setting
from lab.data.augment import squares
from lab.errors import ConfigError

# Dimensions: B images, C H W of an image, G channels of what is given.

BRIGHT = 0.5  # pixels above it are inside an outline
ROUNDS = 200  # of averages that spread into a hole


class Part(Setting, ABC):
    """Turns images `(B, C, H, W)` in [0, 1] into what is given of them, `(B, G, H, W)`."""

    @abstractmethod
    def __call__(self, images: Tensor, numbers: torch.Generator | None = None) -> Tensor:
        """Return what is given. Random numbers are the generator's, or torch's own."""

    @abstractmethod
    def channels(self, channels: int) -> int:
        """Return G for images of so many channels."""

    @abstractmethod
    def simple(self) -> Mapping[str, Draw]:
        """Return simple ways to draw images from what is given, by name."""

    @abstractmethod
    def shown(self, given: Tensor) -> Tensor:
        """Return what is given as it is drawn, `(B, C, H, W)` in [0, 1]."""

    def completed(self, made: Tensor, given: Tensor) -> Tensor:
        """Return what a network made `(B, C, H, W)`, and in its place what is known."""
        return made

    def require_fitting(self, shape: tuple[int, int, int]) -> None:  # most fit all images
        """Raise ConfigError where nothing can be given of images of this shape."""


class Outlines(Part):
    """The pixels around bright strokes: those that are not bright themselves but have a bright neighbour. 1 there, and
    0 elsewhere; neither greys nor what is inside can be seen."""

    def __call__(self, images: Tensor, numbers: torch.Generator | None = None) -> Tensor:
        bright = (images > BRIGHT).to(images.dtype)
        return F.max_pool2d(bright, 3, stride=1, padding=1) - bright

    def channels(self, channels: int) -> int:
        return channels

    def simple(self) -> Mapping[str, Draw]:
        return {"as it is": self.shown}

    def shown(self, given: Tensor) -> Tensor:
        return given


class Hole(Part):
    """All but a square at a random place. A further channel is 1 in the square, and the others are 0 there.

    Args:
        side: of the square, in pixels.
    """

    def __init__(self, side: PositiveInt = 12) -> None:
        self.side = side

    def __call__(self, images: Tensor, numbers: torch.Generator | None = None) -> Tensor:
        count, _, *lengths = images.shape
        top, left = (
            torch.randint(length - self.side + 1, (count, 1), generator=numbers, device=images.device)
            for length in lengths
        )
        missing = squares(top, left, self.side, lengths).to(images.dtype)  # (B, 1, H, W)
        return torch.cat([images * (1 - missing), missing], 1)

    def channels(self, channels: int) -> int:
        return channels + 1

    def simple(self) -> Mapping[str, Draw]:
        return {"spread from the border": spread, "black": lambda given: given[:, :-1]}

    def shown(self, given: Tensor) -> Tensor:
        return given[:, :-1] + 0.5 * given[:, -1:]

    def completed(self, made: Tensor, given: Tensor) -> Tensor:
        return given[:, :-1] + given[:, -1:] * made

    def require_fitting(self, shape: tuple[int, int, int]) -> None:
        if self.side >= min(shape[1:]):
            raise ConfigError(
                f"model.part.side must be less than the images' {shape[1]} x {shape[2]} pixels, received {self.side}"
            )


def spread(given: Tensor) -> Tensor:
    """Return images in which each missing pixel is nearly the mean of its four neighbours: the heights of a membrane
    over the hole (Laplace's equation), by repeated averages."""
    images, missing = given[:, :-1], given[:, -1:]
    made = images
    for _ in range(ROUNDS):
        padded = F.pad(made, (1, 1, 1, 1), mode="replicate")
        mean = (padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1] + padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:]) / 4
        made = images + missing * mean
    return made
