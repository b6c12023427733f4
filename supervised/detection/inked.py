"""The simplest detector: a box around all ink that hangs together."""

from __future__ import annotations

import torch
from torch import Tensor

from lab.data.generated.scenes import INK
from supervised.detection.boxes import Found


def inked(images: Tensor, kind: int) -> list[Found]:
    """Return for each of the images `(B, C, H, W)` in [0, 1] the boxes around ink that hangs together, all of one
    class; larger ones score higher."""
    from scipy.ndimage import find_objects, label

    found = []
    for image in images.amax(1).cpu().numpy():
        parts, _ = label(image > INK)
        boxes = [[across.start, down.start, across.stop, down.stop] for down, across in find_objects(parts)]
        corners = torch.tensor(boxes, dtype=torch.float32, device=images.device).reshape(-1, 4)
        areas = (corners[:, 2:] - corners[:, :2]).prod(1)
        scores = areas / (areas.max() if len(areas) else 1)
        order = scores.argsort(descending=True)
        found.append(Found(corners[order], scores[order], torch.full_like(order, kind)))
    return found
