"""Boxes: overlaps, what a network learns them from, and how good they are."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from lab.data.batch import Batch
from lab.data.spec import Boxes, Classes, DataSpec, InputSpec
from lab.encoders import MLP, Conv, ConvStage
from lab.errors import ConfigError
from supervised.detection import Detector
from supervised.detection.boxes import Found, boxes_of, found, generalised_loss, overlaps, targets
from supervised.detection.detector import focal
from supervised.detection.inked import inked
from supervised.detection.pictures import drawn
from supervised.detection.precision import average_precision, fit

THINGS = torch.tensor([[[2.0, 3.0, 10.0, 11.0, 1.0], [16.0, 16.0, 30.0, 28.0, 0.0], [-1.0] * 5]])
SPEC = DataSpec(InputSpec((1, 32, 32)), Boxes(2))


def test_overlaps_of_known_boxes() -> None:
    a = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    others = torch.tensor([[0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    assert overlaps(a, others)[0].tolist() == pytest.approx([1, 1 / 3, 0])
    # Side by side: 2 of 6 in common; the smallest box around both is their union. Apart: 5 of 36 around both are used.
    loss = generalised_loss(a.expand(3, -1), others)
    assert loss.tolist() == pytest.approx([0, 1 - 1 / 3, 1 + 31 / 36], abs=1e-6)


def test_maps_lead_back_to_their_boxes() -> None:
    wanted = targets(THINGS, 2, (8, 8), 4)
    assert wanted.centres.sum() == 2
    assert (wanted.heat == 1).sum() == 2
    assert wanted.heat[0, 1, 1, 1] == 1
    assert wanted.heat[0, 0, 5, 5] == 1
    ((boxes, scores, kinds),) = found(wanted.heat, wanted.boxes, least=0.9)
    assert scores.tolist() == [1, 1]
    expected = THINGS[0, [1, 0]] if kinds[0] == 0 else THINGS[0, :2]
    assert torch.equal(boxes, expected[:, :4])
    assert torch.equal(kinds.float(), expected[:, 4])


def test_distances_are_from_the_middle_of_a_cell() -> None:
    boxes = boxes_of(torch.ones(1, 4, 3, 3), 4)
    assert boxes[0, :, 1, 2].tolist() == [6, 2, 14, 10]


def test_perfect_guesses_have_full_precision() -> None:
    real = THINGS[0, :2]
    perfect = [Found(real[:, :4], torch.tensor([0.9, 0.8]), real[:, 4].long())]
    assert average_precision(perfect, list(THINGS), (32, 32)) == pytest.approx(1)
    assert fit(perfect, list(THINGS)) == 1
    half = [Found(real[:1, :4], torch.tensor([0.9]), real[:1, 4].long())]
    assert average_precision(half, list(THINGS), (32, 32)) == pytest.approx(0.5), "one of two classes is found"
    moved = [Found(real[:1, :4] + 20, torch.tensor([0.9]), real[:1, 4].long())]
    assert average_precision(moved, list(THINGS), (32, 32)) == 0
    none = [Found(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long))]
    assert average_precision(none, list(THINGS), (32, 32)) == 0


def test_focal_loss_is_least_for_sure_and_right_maps() -> None:
    heat = targets(THINGS, 2, (8, 8), 4).heat
    sure = torch.where(heat == 1, 20.0, -20.0)
    assert focal(sure, heat).item() < 1e-3
    assert focal(-sure, heat).item() > 100


def test_ink_that_hangs_together_is_a_box() -> None:
    image = torch.zeros(1, 1, 16, 16)
    image[0, 0, 2:5, 3:9] = 1
    image[0, 0, 10:12, 10:12] = 1
    ((boxes, scores, kinds),) = inked(image, 3)
    assert boxes.tolist() == [[3, 2, 9, 5], [10, 10, 12, 12]]
    assert scores[0] == 1
    assert kinds.tolist() == [3, 3]


def test_squares_are_found() -> None:
    """Large squares are of one class, small ones of another."""
    torch.manual_seed(0)
    stages = (ConvStage(8, stride=2), ConvStage(16, stride=2, repeat=2))
    model = Detector(SPEC, encoder=partial(Conv, stages=stages), width=16)
    images, things = torch.zeros(16, 1, 32, 32), torch.full((16, 1, 5), -1.0)
    for i in range(16):
        side = 6 if i % 2 else 12
        x, y = torch.randint(0, 32 - side, (2,)).tolist()
        images[i, 0, y : y + side, x : x + side] = 1
        things[i, 0] = torch.tensor([x, y, x + side, y + side, i % 2])
    batch, optimizer = Batch(images, things), torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        torch.autograd.backward(model.losses(batch)["loss"])
        optimizer.step()
    with torch.no_grad():
        guesses = model.eval().find(images)
    assert average_precision(guesses, list(things), (32, 32)) > 0.9
    assert fit(guesses, list(things)) > 0.7


def test_boxes_are_drawn() -> None:
    guesses = [Found(THINGS[0, :2, :4], torch.tensor([0.9, 0.1]), torch.tensor([1, 0]))]
    picture = drawn(torch.zeros(1, 1, 32, 32), THINGS, guesses, ["a", "b"])
    red, green, _ = np.asarray(picture).reshape(-1, 3).T.astype(int)
    assert (green > red + 50).any(), "true boxes are green"
    assert (red > green + 50).any(), "sure ones are red"
    unsure = drawn(torch.zeros(1, 1, 32, 32), THINGS, [guesses[0]._replace(scores=torch.zeros(2))], ["a", "b"])
    red, green, _ = np.asarray(unsure).reshape(-1, 3).T.astype(int)
    assert not (red > green + 50).any()


@pytest.mark.parametrize(
    ("spec", "encoder", "message"),
    [
        (DataSpec(InputSpec((1, 32, 32)), Classes(2)), Conv, "Detector needs boxes as targets"),
        (SPEC, MLP, "needs an encoder that gives a map"),
    ],
)
def test_what_does_not_fit_is_refused(spec: DataSpec, encoder: type, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Detector(spec, encoder=encoder)
