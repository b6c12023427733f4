"""A linear probe: how much of its class a code tells, by few labels (Alain & Bengio 2017)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lab.data.base import DataModule


class Examples(NamedTuple):
    """Images or codes `(N, ...)` and their classes `(N,)`."""

    x: Tensor
    labels: Tensor


def few_labelled(data: DataModule, device: torch.device, each: int) -> Examples | None:
    """Return training images `(N, C, H, W)` with their classes, `each` of every class that occurs, or as many as the
    rarest of them has; None where fewer than two occur. They are the same for every model of these data."""
    images, labels = (torch.cat(parts) for parts in zip(*data.unchanged(device), strict=True))
    classes = data.spec.require_classes("a linear probe")
    counts = labels.bincount(minlength=classes)
    there = counts[counts > 0]
    if len(there) < 2:
        return None
    each = min(each, int(there.min()))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0)).to(device)
    chosen = torch.cat([order[labels[order] == label][:each] for label in range(classes)])
    return Examples(images[chosen], labels[chosen])


def probe_accuracy(train: Examples, test: Examples) -> float:
    """Return the accuracy of logistic regression with scikit-learn's penalty on codes `(N, Z)`, each number of them
    scaled by its mean and deviation over the training examples."""
    from sklearn.linear_model import LogisticRegression

    mean, deviation = train.x.mean(0), train.x.std(0).clamp(min=1e-6)
    known, asked = (((one.x - mean) / deviation).cpu() for one in (train, test))
    fitted = LogisticRegression(max_iter=2_000).fit(known, train.labels.cpu())
    return float(fitted.score(asked, test.labels.cpu()))
