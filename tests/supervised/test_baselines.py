"""Simple classifiers learn from the examples as they are, whatever the model's are changed by."""

from __future__ import annotations

from torchmetrics.classification import MulticlassAccuracy

from lab.data import Images
from lab.data.augment import Augment
from supervised.baselines import simple_classifiers


def test_augmentation_does_not_reach_simple_classifiers() -> None:
    found = []
    for augment in (None, Augment(shift=4, rotate=40)):
        data = Images(name="digits", train_size=200, augment=augment)
        data.prepare()
        found.append(simple_classifiers(data, lambda: {"accuracy": MulticlassAccuracy(10)}))
        assert data.augment is augment
    assert found[0] == found[1]
