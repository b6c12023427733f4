"""Simple classifiers learn from the examples as they are, whatever the model's are changed by."""

from __future__ import annotations

import torch
from torchmetrics.classification import MulticlassAccuracy

from lab.data import Images
from lab.data.augment import Augment
from lab.data.loader import plain_batches, training_batches
from supervised.baselines import simple_classifiers

CPU = torch.device("cpu")


def test_augmentation_does_not_reach_simple_classifiers() -> None:
    found = []
    for augment in (None, Augment(shift=4, rotate=40)):
        data = Images(name="digits", train_size=200, augment=augment)
        data.prepare()
        found.append(simple_classifiers(data, lambda: {"accuracy": MulticlassAccuracy(10)}))
        assert data.augment is augment
    assert found[0] == found[1]


def test_simple_methods_see_all_examples() -> None:
    data = Images(name="digits", val_size=0, batch_size=512, augment=Augment(shift=2))
    data.prepare()
    counts = [sum(len(batch) for batch in some(data, CPU, 0)) for some in (plain_batches, training_batches)]
    assert counts == [1297, 1024], "a model sees the others in other epochs"
