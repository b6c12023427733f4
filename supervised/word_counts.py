"""Simple classifiers of texts by the words and the pairs of neighbouring words in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from lab.data.batch import Batch

Rows = tuple[Any, Tensor]
"""Inputs of scikit-learn's, `(N, F)`, and the classes, `(N,)`."""


def text_classifiers() -> dict[str, Any]:
    """Return classifiers of scikit-learn's that take such counts, by the name of the method. Naive Bayes is
    multinomial, with a count of 1 added to each (Wang & Manning 2012, section 2.1)."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB

    return {
        "most frequent class": DummyClassifier(strategy="most_frequent"),
        "logistic regression": LogisticRegression(max_iter=1_000),
        "naive Bayes": MultinomialNB(),
    }


def word_counts(train: Iterable[Batch], test: Iterable[Batch]) -> tuple[Rows, Rows]:
    """Return which words and pairs of words are in each text, `(N, F)`, and the classes, `(N,)`, of training and test
    texts. Words and pairs that are in no training text count for nothing.

    Args:
        train: token ids `(B, T)` with a mask, and their classes.
        test: the same.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    (x_train, y_train), (x_test, y_test) = (_texts(batches) for batches in (train, test))
    counter = CountVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=(1, 2), binary=True)
    return (counter.fit_transform(x_train), y_train), (counter.transform(x_test), y_test)


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
