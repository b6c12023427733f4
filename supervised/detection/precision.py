"""How good detections are: average precision as on COCO, and how well boxes fit."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import torch
from torch import Tensor

from supervised.detection.boxes import Found, overlaps

SURE = 0.3  # score from which a box is compared with the true ones
FITS = 0.5  # intersection over union


def average_precision(found: Sequence[Found], things: Sequence[Tensor], side: tuple[int, int]) -> float:
    """Return AP50: mean over the classes of the area under precision by recall, where a box counts if it has half of
    its union in common with a true one of its class (Lin et al. 2014, by faster-coco-eval).

    Args:
        found: for each image.
        things: for each image `(M, 5)`, left, top, right, bottom and class; -1 for none.
        side: height and width of the images.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    height, width = side
    real = [one[one[:, 4] >= 0] for one in things]
    images = [{"id": i, "height": height, "width": width} for i in range(len(real))]
    kinds = sorted({int(kind) for one in real for kind in one[:, 4]})
    truth = [
        {"image_id": i, "category_id": int(thing[4]), "bbox": _corner_and_sides(thing), "area": 1.0, "iscrowd": 0}
        for i, one in enumerate(real)
        for thing in one
    ]
    guesses = [
        {"image_id": i, "category_id": int(kind), "bbox": _corner_and_sides(box), "score": float(score)}
        for i, one in enumerate(found)
        for box, score, kind in zip(*one, strict=True)
    ]
    if not truth or not guesses:
        return 0.0
    for number, one in enumerate(truth, start=1):
        one["id"] = number
    with contextlib.redirect_stdout(io.StringIO()):  # it tells what it does
        known = COCO({"images": images, "annotations": truth, "categories": [{"id": kind} for kind in kinds]})
        evaluation = COCOeval_faster(known, known.loadRes(guesses), "bbox")
        evaluation.run()
    return float(evaluation.stats[1])


def fit(found: Sequence[Found], things: Sequence[Tensor]) -> float:
    """Return the mean intersection over union of sure boxes and the true ones of their class that they match, best
    scores first; 0 where none match."""
    matched: list[float] = []
    for one, thing in zip(found, things, strict=True):
        free = thing[thing[:, 4] >= 0]
        for box, score, kind in zip(*one, strict=True):
            same = free[:, 4] == kind
            if score < SURE or not same.any():
                continue
            shares = overlaps(box[None], free[:, :4])[0] * same
            best = int(shares.argmax())
            if shares[best] >= FITS:
                matched.append(float(shares[best]))
                free = torch.cat([free[:best], free[best + 1 :]])
    return sum(matched) / max(1, len(matched))


def _corner_and_sides(box: Tensor) -> list[float]:
    left, top, right, bottom = box[:4].tolist()
    return [left, top, right - left, bottom - top]


def sure(found: Found) -> Found:
    """Return what was found with a score of 0.3 or more."""
    kept = found.scores >= SURE
    return Found(*(part[kept] for part in found))
