"""Pictures say what they show."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lab.training.captions import RED, captioned, named_rows


@pytest.mark.parametrize(("count", "channels", "size"), [(1, 1, 28), (5, 3, 8), (100, 1, 300)])
def test_each_image_has_its_caption(count: int, channels: int, size: int) -> None:
    images = torch.full((count, channels, size, size), 0.5)
    plain = np.asarray(captioned(images, [("", "")] * count, ""))
    captions = [(f"class {i}", "a name that is far longer than its cell is wide" * 3) for i in range(count)]
    drawn = np.asarray(captioned(images, captions, "", red=1))
    assert drawn.shape == plain.shape, "the captions have room already"
    changed = (drawn != plain).any(-1)
    grey = (plain == 128).all(-1)
    assert changed.any()
    assert not (changed & grey).any(), "no caption lies on an image"
    assert (drawn == RED).all(-1).any()


def test_rows_are_named_in_turn() -> None:
    images = torch.zeros(6, 1, 28, 28)
    picture = np.asarray(named_rows(images, ("image", "reconstruction"), columns=2))
    blank = np.asarray(named_rows(images, ("", ""), columns=2))
    left = picture.shape[1] - blank.shape[1]
    rows = np.split(picture[: len(picture) // 3 * 3, :left], 3)
    dark = [int((row < 100).any(-1).sum()) for row in rows]
    assert dark[1] > dark[0] > 0, "the longer word stands in the second row"
    assert abs(dark[0] - dark[2]) < 5
