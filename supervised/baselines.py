"""Simple classifiers as baselines, trained and tested on the same splits as the model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lab.data.base import DataModule
from lab.data.loader import testing_batches, training_batches

if TYPE_CHECKING:
    from torchmetrics import Metric

CPU = torch.device("cpu")


def simple_classifiers(data: DataModule, metrics: Callable[[], Mapping[str, Metric]]) -> dict[str, dict[str, float]]:
    """Fit simple classifiers to the training split and return their test metrics, by the name of the method.

    Where the inputs are not single float tensors of one size, only the most frequent class is tried.

    Args:
        data: prepared, with one class for each example.
        metrics: makes fresh metrics of predicted and true classes, by name.
    """
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import RidgeClassifier
    from sklearn.neighbors import NearestCentroid

    train = list(training_batches(data, CPU, seed=0))
    test = list(testing_batches(data, CPU))
    y_train, y_test = (torch.cat([labels for _, labels in split]) for split in (train, test))
    inputs = [x for x, _ in (*train, *test)]
    plain = all(isinstance(x, Tensor) and x.is_floating_point() for x in inputs) and all(
        batch.mask is None for batch in (*train, *test)
    )
    x_train, x_test = (
        torch.cat([x.flatten(1) for x, _ in split]).numpy() if plain else torch.zeros(sum(map(len, split)), 1).numpy()
        for split in (train, test)
    )
    methods: dict[str, Any] = {"most frequent class": DummyClassifier(strategy="most_frequent")}
    if plain:
        methods |= {"nearest centroid": NearestCentroid(), "ridge regression": RidgeClassifier()}
    found = {}
    for name, method in methods.items():
        with warnings.catch_warnings():  # pixels that are the same in all images: harmless
            warnings.filterwarnings("ignore", message="self.within_class_std_dev_")
            predicted = torch.from_numpy(method.fit(x_train, y_train.numpy()).predict(x_test))
        measured = metrics()
        for metric in measured.values():
            metric.update(predicted, y_test)
        found[name] = {f"test/{key}": float(metric.compute()) for key, metric in measured.items()}
    return found
