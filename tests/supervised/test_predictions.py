"""Boxes, masks and restored images are predicted from images of any size, as rows and as pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from lab.capabilities import Prediction
from lab.cli.views.predictions import in_file, line_of, rows_of
from lab.data.inputs.reading import reader_of
from lab.data.spec import Boxes, Classes, DataSpec, InputSpec, Masks
from lab.encoders import ResNet, ViT
from supervised.detection import Detector
from supervised.detection.boxes import Found
from supervised.detection.pictures import marked, named
from supervised.restoration import Denoiser, SuperResolver
from supervised.segmentation import Segmenter

IMAGES = InputSpec((1, 16, 16))
NAMES = ("background", "one", "two")


class Halves(nn.Module):
    """The left half of an image is of class 0, the right one of class 2."""

    def forward(self, x: Tensor) -> Tensor:
        logits = x.new_zeros(len(x), 3, *x.shape[2:])
        logits[:, 2, :, x.shape[3] // 2 :] = 1
        return logits


def test_masks_are_counted_and_keep_their_numbers() -> None:
    model = Segmenter(DataSpec(IMAGES, Masks(3, NAMES)), widths=(8,))
    model.network = Halves()  # type: ignore[assignment]
    (found,) = model.predict(torch.rand(1, 1, 6, 10))
    assert found.things == [{"label": "two", "pixels": 30}]
    assert found.picture is not None
    assert (found.picture.mode, found.picture.size) == ("P", (10, 6))
    assert np.asarray(found.picture).tolist() == [[0] * 5 + [2] * 5] * 6
    colours = np.asarray(found.picture.convert("RGB"))
    assert (colours[:, :5] == 0).all()
    assert (colours[:, 5:].max(2) == 255).all()


@pytest.mark.parametrize(("any_size", "size"), [(False, (40, 8)), (True, (4_096, 512)), (True, (40, 8))])
def test_boxes_of_resized_images_are_told_in_pixels_of_the_file(
    any_size: bool, size: tuple[int, int], tmp_path: Path
) -> None:
    """A box around the right half of what the model sees is around the right half of the file's image."""
    spec, path = DataSpec(IMAGES, Boxes(2)), tmp_path / "wide.png"
    Image.new("L", size).save(path)
    given = reader_of(spec, any_size=any_size).read(path.read_bytes(), "wide.png")
    assert isinstance(given.inputs, Tensor)
    height, width = given.inputs.shape[2:]
    box: dict[str, str | float] = {
        "label": "b",
        "score": 0.5,
        "left": width / 2,
        "top": 0.0,
        "right": width,
        "bottom": height,
    }
    ((told,),) = (in_file(Prediction(things=[box]), given.scale, spec.target).things or (),)
    assert told == {"label": "b", "score": 0.5, "left": size[0] / 2, "top": 0, "right": size[0], "bottom": size[1]}


def test_boxes_are_told_in_pixels_of_the_image() -> None:
    found = Found(torch.tensor([[-3.0, 2.0, 8.0, 90.0]]), torch.tensor([0.75]), torch.tensor([1]))
    image = torch.zeros(1, 20, 30)
    (thing,) = named(found, ["a", "b"], image)
    assert thing == {"label": "b", "score": 0.75, "left": 0, "top": 2, "right": 8, "bottom": 20}
    picture = np.asarray(marked(image, found, ["a", "b"]))
    assert picture.shape == (320, 480, 3), "enlarged 16 times"
    reds = (picture == [255, 0, 0]).all(2)
    assert reds[100, 127:129].any(), "the right side of the box"
    assert not reds[100, 130:].any()


def test_only_convolutions_take_any_size() -> None:
    spec = DataSpec(IMAGES, Boxes(2))
    model = Detector(spec, encoder=partial(ResNet, channels=[8], blocks=1), width=8)
    assert model.any_size
    assert model.predict(torch.rand(1, 1, 23, 31))[0].things == [], "nothing has a score of 0.3 at first"
    assert not Detector(spec, encoder=partial(ViT, width=8, layers=1, heads=2), width=8).any_size


@pytest.mark.parametrize(
    ("build", "size"),
    [
        (lambda spec: Denoiser(spec, widths=(8,)), (9, 13)),
        (lambda spec: SuperResolver(spec, factor=2, filters=8, blocks=1), (18, 26)),
    ],
)
def test_restored_images_are_pictures(build: Callable[[DataSpec], Any], size: tuple[int, int]) -> None:
    (found,) = build(DataSpec(IMAGES, Classes(2))).predict(torch.rand(1, 1, 9, 13))
    assert found.picture.size == size[::-1]
    assert found.things is None


def test_images_keep_their_size_where_any_will_do() -> None:
    Image.new("RGB", (40, 30), "white").save("small.png")
    Image.new("L", (2_048, 512)).save("large.png")
    spec = DataSpec(IMAGES)
    for name, any_size, shape, notes in (
        ("small.png", True, (1, 1, 30, 40), 0),
        ("small.png", False, (1, 1, 16, 16), 2),
        ("large.png", True, (1, 1, 256, 1_024), 1),
    ):
        given = reader_of(spec, any_size=any_size).read(Path(name).read_bytes(), name)
        assert isinstance(given.inputs, Tensor)
        assert (given.inputs.shape, len(given.notes)) == (shape, notes)


def test_things_become_rows_and_lines() -> None:
    found = Prediction(things=[{"label": "7", "score": 0.5, "left": 1.0}, {"label": "2", "score": 0.4, "left": 9.5}])
    target = Boxes(10)
    rows = list(rows_of(found, {"input": "a.png", "picture": "out/a.png"}, target))
    assert [row["label"] for row in rows] == ["7", "2"]
    assert line_of(rows[1], target) == "a.png: 2, score 0.4, left 9.5"
    (nothing,) = rows_of(Prediction(things=[]), {"input": "a.png"}, target)
    assert line_of(nothing, target) == "a.png: nothing"
    (row,) = rows_of(Prediction(picture=Image.new("L", (1, 1))), {"input": "a.png", "picture": "b.png"}, Classes(2))
    assert line_of(row, Classes(2)) == "a.png: b.png"
