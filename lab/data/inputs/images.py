"""Reads images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from lab.data.files.picture import ENDINGS, Size, changes, grey, header, pixels, written
from lab.data.inputs.given import Given
from lab.data.spec import InputSpec
from lab.errors import ConfigError

LONGEST = 1_024  # side, in pixels, of an image that is not resized


@dataclass(frozen=True)
class Images:
    """Reads images, `(1, C, H, W)` in [0, 1]; those of another size are resized.

    Args:
        spec: of the images that the model was trained on.
        any_size: whether the model takes images of any size: then only those are resized that are longer than 1,024
            pixels.
    """

    spec: InputSpec
    any_size: bool = False
    suffixes: ClassVar = ENDINGS

    def read(self, content: bytes, name: str) -> Given:
        """Return the image in a file. Raises DataError where it is none, ConfigError where the model takes no images of
        one or three channels."""
        channels, *size = self.spec.shape
        if channels not in (1, 3):
            raise ConfigError(f"{name}: the model takes images of {channels} channels, which no picture has")
        said, wanted = header(content, name), (size[0], size[1])
        found = said.size
        if self.any_size:
            wanted = _within(found, LONGEST)
        image = pixels(content, name, size=wanted)
        notes = [] if found == wanted else [f"{name} was resized from {written(found)} to {written(wanted)}"]
        notes += changes([said], wanted, name)
        if channels == 1:
            image = grey(image)[..., None]
        elif image.ndim == 2:
            image = np.stack([image] * 3, -1)
        scaled = torch.from_numpy(image.astype(np.float32) / 255)  # (H, W, C)
        scale = (found[1] / wanted[1], found[0] / wanted[0])
        return Given(scaled.permute(2, 0, 1).contiguous()[None], [{}], notes, scale)


def _within(size: Size, longest: int) -> Size:
    """Return height and width, shrunk in proportion where one of them is longer."""
    share = min(1.0, longest / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))
