"""Simple classifiers as baselines, trained and tested on the same splits as the model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import plain_batches, testing_batches
from lab.data.tokenizers.words import Words
from lab.nn.spectrogram import LogMelSpectrogram
from supervised.word_counts import Rows, text_classifiers, word_counts

if TYPE_CHECKING:
    from torchmetrics import Metric

CPU = torch.device("cpu")
MOST_PIXELS = 32  # along a side of an image
MOST_NUMBERS = 200_000
"""In the training split, for methods that would take minutes of more."""


def simple_classifiers(
    data: DataModule, metrics: Callable[[], Mapping[str, Metric]], *, scale: bool = False
) -> dict[str, dict[str, float]]:
    """Fit simple classifiers to the training split, not augmented, and return their test metrics, by the name of the
    method.

    Logistic regression and a support vector machine (with a Gaussian kernel of scikit-learn's default width, and C 10)
    are among them where the training split is small.

    Sounds are described by the mean and the deviation of each band of their log-mel spectrogram over time. Images are
    shrunk to at most 32x32 pixels. Texts have methods of their own, `supervised.word_counts`. Where the inputs are none
    of these and no single float tensors of one size, only the most frequent class is tried.

    Args:
        data: prepared, with one class for each example.
        metrics: makes fresh metrics of predicted and true classes, by name.
        scale: whether they get columns of mean 0 and deviation 1 over the training split.
    """
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.neighbors import NearestCentroid
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    if isinstance(getattr(data.spec.reader, "tokenizer", None), Words):
        counts = word_counts(plain_batches(data, CPU, seed=0), testing_batches(data, CPU))
        return measured(text_classifiers(), *counts, metrics)
    train = list(plain_batches(data, CPU, seed=0))
    test = list(testing_batches(data, CPU))
    y_train, y_test = (torch.cat([labels for _, labels in split]) for split in (train, test))
    rate = getattr(data.spec.input, "sample_rate", None)
    plain = all(
        isinstance(batch.inputs, Tensor) and batch.inputs.is_floating_point() and (rate or batch.mask is None)
        for batch in (*train, *test)
    )
    describe = partial(described, rate=rate) if rate else flat
    x_train, x_test = (
        torch.cat([describe(batch) for batch in split]).numpy() if plain else np.zeros((sum(map(len, split)), 1))
        for split in (train, test)
    )
    if plain and scale:
        scaler = StandardScaler().fit(x_train)
        x_train, x_test = scaler.transform(x_train), scaler.transform(x_test)
    methods: dict[str, Any] = {"most frequent class": DummyClassifier(strategy="most_frequent")}
    if plain:
        methods |= {"nearest centroid": NearestCentroid(), "ridge regression": RidgeClassifier()}
    if plain and x_train.size <= MOST_NUMBERS:
        methods |= {"logistic regression": LogisticRegression(max_iter=1_000), "support vector machine": SVC(C=10)}
    return measured(methods, (x_train, y_train), (x_test, y_test), metrics)


def measured(
    methods: Mapping[str, Any], train: Rows, test: Rows, metrics: Callable[[], Mapping[str, Metric]]
) -> dict[str, dict[str, float]]:
    """Fit each of scikit-learn's classifiers and return its test metrics, by the name of the method."""
    (x_train, y_train), (x_test, y_test) = train, test
    found = {}
    for name, method in methods.items():
        with warnings.catch_warnings():  # pixels that are the same in all images: harmless
            warnings.filterwarnings("ignore", message="self.within_class_std_dev_")
            warnings.filterwarnings("ignore", message="lbfgs failed to converge")  # columns of other scales
            predicted = torch.from_numpy(method.fit(x_train, y_train.numpy()).predict(x_test))
        fresh = metrics()
        for metric in fresh.values():
            metric.update(predicted, y_test)
        found[name] = {f"test/{key}": float(metric.compute()) for key, metric in fresh.items()}
    return found


def flat(batch: Batch) -> Tensor:
    """Return the inputs as vectors, `(B, F)`. Large images are shrunk first."""
    assert isinstance(batch.inputs, Tensor)
    return shrunk(batch.inputs).flatten(1)


def shrunk(x: Tensor) -> Tensor:
    """Return images `(B, C, H, W)` with sides of at most 32 pixels, by averages; other inputs as they are. Linear
    methods need the square of the number of pixels."""
    if x.ndim != 4 or max(x.shape[2:]) <= MOST_PIXELS:
        return x
    return F.adaptive_avg_pool2d(x, (min(x.shape[2], MOST_PIXELS), min(x.shape[3], MOST_PIXELS)))


def described(batch: Batch, rate: int) -> Tensor:
    """Return the mean and the deviation of each mel band over time, `(B, 2 * mels)`, for sounds of `rate` samples per
    second."""
    frames, real = LogMelSpectrogram(rate, normalise="none")(batch.inputs, batch.mask)
    kept = frames.new_ones(frames.shape[:2]) if real is None else real.to(frames.dtype)
    weights = (kept / kept.sum(1, keepdim=True)).unsqueeze(2)
    mean = (frames * weights).sum(1)
    deviation = ((frames - mean.unsqueeze(1)).square() * weights).sum(1).sqrt()
    return torch.cat([mean, deviation], 1)
