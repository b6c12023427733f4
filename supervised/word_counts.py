"""Simple classifiers of texts by the words and the pairs of neighbouring words in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lab.data.batch import Batch

if TYPE_CHECKING:
    from torchmetrics import Metric


def text_classifiers(
    train: Iterable[Batch], test: Iterable[Batch], metrics: Callable[[], Mapping[str, Metric]]
) -> dict[str, dict[str, float]]:
    """Fit simple classifiers to texts and return their test metrics, by the name of the method.

    Naive Bayes is multinomial, on which words and pairs are in a text, with a count of 1 added to each (Wang & Manning
    2012, section 2.1). Logistic regression has the same inputs and scikit-learn's default penalty. Words and pairs that
    are in no training text count for nothing.

    Args:
        train: token ids `(B, T)` with a mask, and their classes.
        test: the same.
        metrics: makes fresh metrics of predicted and true classes, by name.
    """
    from sklearn.dummy import DummyClassifier
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB

    (x_train, y_train), (x_test, y_test) = (_texts(batches) for batches in (train, test))
    counter = CountVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=(1, 2), binary=True)
    counted, tested = counter.fit_transform(x_train), counter.transform(x_test)
    methods: dict[str, Any] = {
        "most frequent class": DummyClassifier(strategy="most_frequent"),
        "logistic regression": LogisticRegression(max_iter=1_000),
        "naive Bayes": MultinomialNB(),
    }
    found = {}
    for name, method in methods.items():
        predicted = torch.from_numpy(method.fit(counted, y_train.numpy()).predict(tested))
        measured = metrics()
        for metric in measured.values():
            metric.update(predicted, y_test)
        found[name] = {f"test/{key}": float(metric.compute()) for key, metric in measured.items()}
    return found


def _texts(batches: Iterable[Batch]) -> tuple[list[str], Tensor]:
    """Return each text as its token ids with spaces between them, and the classes `(N,)`."""
    texts, labels = list[str](), list[Tensor]()
    for batch in batches:
        texts += _written(batch)
        assert isinstance(batch.targets, Tensor)
        labels.append(batch.targets)
    return texts, torch.cat(labels)


def _written(batch: Batch) -> Iterator[str]:
    ids, mask = batch.inputs, batch.mask
    assert isinstance(ids, Tensor)
    assert isinstance(mask, Tensor)
    for row, real in zip(ids, mask, strict=True):
        yield " ".join(map(str, row[real].tolist()))
