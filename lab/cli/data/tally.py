"""How many examples each split has, of each class where there are classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lab.data.base import DataModule
from lab.data.spec import Classes

CPU = torch.device("cpu")
SPLITS = ("train", "validation", "test")


def tally(data: DataModule) -> dict[str, Sequence[int]]:
    """Return for each split of prepared `data` the number of examples: of each class in order, or of all together where
    they have no classes. Splits without examples are left out."""
    splits = {"train": data.train(CPU, 0, batch_size=1), "validation": data.validation(CPU), "test": data.test(CPU)}
    found: dict[str, Sequence[int]] = {}
    for name, batches in splits.items():
        if batches is None:
            continue
        targets = getattr(batches, "targets", None)  # of all examples, where they are cut from tensors
        if isinstance(data.spec.target, Classes) and isinstance(targets, Tensor) and targets.ndim == 1:
            found[name] = targets.bincount(minlength=data.spec.target.n).tolist()
        else:
            found[name] = [getattr(batches, "count", None) or sum(len(batch) for batch in batches)]
    return found
