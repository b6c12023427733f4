"""Logistic regression on scaled columns: what a screening has to beat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches, training_batches, validation_batches
from supervised.screening.scores import Scored, choose_threshold, screening_metrics

CPU = torch.device("cpu")


def logistic_regression(
    data: DataModule, positive: int, recall: float, miss_cost: float
) -> dict[str, dict[str, float]]:
    """Return test metrics of scaled logistic regression (scikit-learn's, with its default penalty), and of guessing.

    One is fitted to the training examples, and its threshold is chosen on the validation examples, as for the model.
    One is fitted to more rows, the validation examples too, which leaves none to choose a threshold on.

    Args:
        data: prepared, with vectors and classes, and with validation examples of the class to find.
        positive: number of the class to find.
        recall: share of it that is to be found.
        miss_cost: of one that is not found, in false alarms.
    """
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train = _everything(training_batches(data, CPU, seed=0))
    held_out = _everything(validation_batches(data, CPU) or ())
    test = _everything(testing_batches(data, CPU))
    both = tuple(torch.cat(pair) for pair in zip(train, held_out, strict=True))

    def fitted(method: Any, split: tuple[Tensor, ...]) -> Any:
        return method.fit(split[0].numpy(), split[1].numpy())

    def scored(method: Any, split: tuple[Tensor, ...]) -> Scored:
        return Scored(torch.from_numpy(method.predict_proba(split[0].numpy())), split[1], positive)

    def accuracy(method: Any) -> dict[str, float]:
        return {"test/accuracy": float(method.score(test[0].numpy(), test[1].numpy()))}

    guess = fitted(DummyClassifier(strategy="most_frequent"), both)
    full, part = (
        fitted(make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000)), split) for split in (both, train)
    )
    validated = scored(part, held_out)
    metrics = screening_metrics(validated.probabilities.shape[1])
    threshold = choose_threshold(validated.scores[validated.truth.bool()], recall)
    scored(part, test).update(metrics, threshold, miss_cost)
    return {
        "most frequent class": accuracy(guess),
        "logistic regression, more rows": accuracy(full),
        "logistic regression": {f"test/{name}": float(one.compute()) for name, one in metrics.items()},
    }


def _everything(batches: Iterable[Batch]) -> tuple[Tensor, ...]:
    """Return inputs `(N, F)` and classes `(N,)` of all batches."""
    return tuple(torch.cat(parts) for parts in zip(*batches, strict=True))
