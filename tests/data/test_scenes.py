"""Scenes hold the digits that their masks and boxes say."""

from __future__ import annotations

import pytest
import torch

from lab.data import Scenes
from lab.data.generated.scenes import INK, OVERLAP, placed, scenes
from lab.data.own.examples import Split
from lab.data.spec import Boxes, Masks
from lab.errors import ConfigError

SMALL = {"name": "digits", "train_size": 200, "val_size": 20, "test_size": 50, "batch_size": 10}


@pytest.fixture(scope="module")
def squares() -> Split:
    """Digits that are white squares of 10x10 pixels in the middle of 28x28."""
    image = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    image[..., 9:19, 9:19] = 255
    return Split(image.repeat(3, 1, 1, 1), torch.tensor([0, 1, 2]))


def test_boxes_are_around_the_ink(squares: Split) -> None:
    drawn = scenes(squares, placed(squares, 300, side=64, most=1, seed=0), side=64)
    for image, box in zip(drawn.images[:, 0], drawn.boxes[:, 0], strict=True):
        rows, columns = (image > INK).nonzero().unbind(1)
        found = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()
        assert (found - box[:4]).abs().max() < 1.5
    sides = drawn.boxes[:, 0, 2] - drawn.boxes[:, 0, 0]
    assert 6 <= sides.min() < 7 < 13 < sides.max() <= 14, "a square of 10 pixels, times 0.6 to 1.4"


def test_masks_have_the_classes_of_the_boxes(squares: Split) -> None:
    drawn = scenes(squares, placed(squares, 100, side=64, most=4, seed=1), side=64)
    for mask, boxes in zip(drawn.masks, drawn.boxes, strict=True):
        real = boxes[boxes[:, 4] >= 0]
        assert set(mask.unique().tolist()) == {0, *(real[:, 4] + 1).int().tolist()}
    counts = (drawn.boxes[..., 4] >= 0).sum(1)
    assert set(counts.tolist()) == {1, 2, 3, 4}


def test_boxes_overlap_little(squares: Split) -> None:
    boxes = scenes(squares, placed(squares, 100, side=40, most=4, seed=2), side=40).boxes
    for one in boxes:
        real = one[one[:, 4] >= 0]
        assert (real[:, :4] >= 0).all()
        assert (real[:, :4] <= 40).all()
        for i, a in enumerate(real):
            for b in real[:i]:
                common = (torch.minimum(a[2:4], b[2:4]) - torch.maximum(a[:2], b[:2])).clamp(min=0).prod()
                smaller = torch.minimum((a[2:4] - a[:2]).prod(), (b[2:4] - b[:2]).prod())
                assert common / smaller <= OVERLAP + 1e-4


def test_scenes_are_the_same_for_all_seeds_of_a_run() -> None:
    first, again = (Scenes(**SMALL) for _ in range(2))  # type: ignore[arg-type]
    for data in (first, again):
        data.prepare()
    assert first.info.sha256 == again.info.sha256
    assert isinstance(first.spec.target, Masks)
    assert first.spec.target.n == 11
    images, masks = next(iter(first.train(torch.device("cpu"), 0)))
    assert images.shape == (10, 1, 64, 64)
    assert masks.shape == (10, 64, 64)
    boxed = Scenes(**SMALL, targets="boxes")  # type: ignore[arg-type]
    boxed.prepare()
    assert isinstance(boxed.spec.target, Boxes)
    assert next(iter(boxed.test(torch.device("cpu")))).targets.shape == (50, 4, 5)  # type: ignore[union-attr]


def test_small_scenes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.side must be at least 39 .* received 32"):
        Scenes(**SMALL, side=32).prepare()  # type: ignore[arg-type]
