"""A U-Net learns the classes of pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lab.data.batch import Batch
from lab.data.spec import Classes, DataSpec, InputSpec, Masks
from lab.errors import ConfigError
from supervised.segmentation import Segmenter
from supervised.segmentation.colours import coloured, colours


def test_masks_are_learnt() -> None:
    """Bright squares are of one class, dim ones of another."""
    torch.manual_seed(0)
    model = Segmenter(DataSpec(InputSpec((1, 16, 16)), Masks(3)), widths=(8, 16), patch=1)
    images, masks = torch.zeros(16, 1, 16, 16), torch.zeros(16, 16, 16, dtype=torch.long)
    for i in range(16):
        x, y, kind = (int(torch.randint(most, ())) for most in (10, 10, 2))
        images[i, 0, y : y + 6, x : x + 6] = 0.5 + 0.5 * kind
        masks[i, y : y + 6, x : x + 6] = 1 + kind
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        torch.autograd.backward(model.losses(Batch(images, masks))["loss"])
        optimizer.step()
    metrics = model.eval().metrics()
    with torch.no_grad():
        model.measure(Batch(images, masks), metrics)
    assert float(metrics["mean_iou"].compute()) > 0.9


def test_other_targets_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs a class for each pixel"):
        Segmenter(DataSpec(InputSpec((1, 8, 8)), Classes(3)))


def test_perfect_masks_have_an_intersection_of_all() -> None:
    model = Segmenter(DataSpec(InputSpec((1, 8, 8)), Masks(3)), widths=(8,))
    masks = torch.randint(0, 3, (2, 8, 8))
    metrics = model.metrics()
    for metric in metrics.values():
        metric.update(masks, masks)
    assert all(float(metric.compute()) == 1 for metric in metrics.values())


def test_classes_have_colours_of_their_own() -> None:
    assert len(torch.unique(colours(11), dim=0)) == 11
    masks = torch.zeros(1, 8, 8, dtype=torch.long)
    masks[0, :4] = 2
    drawn = np.asarray(coloured(torch.zeros(1, 1, 8, 8), {"true": masks}, ["a", "b"])).reshape(-1, 3)
    counts = [(abs(drawn - 255 * colour.numpy()).max(1) < 2).sum() for colour in colours(3)]
    assert counts[2] > 1_000, "half of the mask is of the second class"
    assert counts[1] < counts[2] / 10, "the first one stands in the legend alone"
