"""What features are worth with few labels: logistic regression on them, and on those of a network with random
weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import plain_batches, testing_batches, validation_batches
from lab.encoders.base import Encoder
from lab.encoders.contract import built_anew
from lab.system.randomness import own_randomness

# Dimensions: N examples, F features.

PENALTIES = (1.0, 0.1, 0.01)
"""Values of C, the inverse of the ridge penalty, that logistic regression tries on the validation examples."""

Features = Callable[..., Tensor]
"""From inputs `(B, ...)`, and their mask where they have one, to vectors `(B, F)`."""


class Encoded(NamedTuple):
    """Features `(N, F)` and classes `(N,)` of a split, on the CPU."""

    x: Tensor
    y: Tensor


def encoded(batches: Iterable[Batch], features: Features) -> Encoded:
    """Return the features of all examples."""
    with torch.no_grad():
        parts = [(_of(batch, features).cpu(), batch.targets.cpu()) for batch in batches]  # type: ignore[union-attr]
    return Encoded(torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts]))


def _of(batch: Batch, features: Features) -> Tensor:
    return features(batch.inputs) if batch.mask is None else features(batch.inputs, batch.mask)


def untrained(encoder: Encoder, device: torch.device) -> Encoder:
    """Return the same network with random weights, always the same ones, in eval mode."""
    with own_randomness(device, seed=0):
        return built_anew(encoder).to(device).eval()


def logistic_regression(train: Encoded, held_out: Encoded | None, test: Encoded) -> Tensor:
    """Return the predicted classes `(N,)` of the test examples. The penalty is that of the best accuracy on those held
    out; without any, it is the first of PENALTIES."""
    from sklearn.linear_model import LogisticRegression

    shift, scale = train.x.mean(), train.x.std().clamp(min=1e-6)
    fitted = [
        LogisticRegression(C=penalty, max_iter=1000, tol=1e-3).fit((train.x - shift) / scale, train.y)
        for penalty in (PENALTIES if held_out else PENALTIES[:1])
    ]
    if held_out:
        fitted.sort(key=lambda method: method.score((held_out.x - shift) / scale, held_out.y))
    return torch.from_numpy(fitted[-1].predict((test.x - shift) / scale))


def few_label_accuracy(data: DataModule, device: torch.device, features: Features, each: int) -> float:
    """Return the share of the test examples that logistic regression on features gets right, fitted to `each` training
    examples of every class, or as many as the rarest has. They are the same for all features."""
    train = encoded(plain_batches(data, device, seed=0), lambda x: x)
    classes = data.spec.require_classes("a probe")
    each = min(each, int(train.y.bincount(minlength=classes).min()))
    chosen = torch.cat([(train.y == label).nonzero()[:each, 0] for label in range(classes)])  # the order is random
    few = encoded([Batch(train.x[chosen].to(device), train.y[chosen])], features)
    held_out = validation_batches(data, device)
    test = encoded(testing_batches(data, device), features)
    predicted = logistic_regression(few, encoded(held_out, features) if held_out else None, test)
    return (predicted == test.y).float().mean().item()
