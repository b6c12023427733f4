"""Equal error rates by the noise of the examples, of a model and of simple methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_eer

from lab.data.base import DataModule
from lab.data.loader import plain_batches, testing_batches
from lab.data.spoken.mixed import Condition
from supervised.baselines import described

CPU = torch.device("cpu")


def equal_error(scores: Tensor, truth: Tensor) -> float | None:
    """Return the share of misses at the threshold where that of false alarms is the same; None where there are no
    examples of one kind. Both are `(N,)`."""
    if len(truth) == 0 or truth.min() == truth.max():
        return None
    return float(binary_eer(scores.contiguous(), truth))


def chosen(conditions: Sequence[Condition], wanted: Callable[[Condition], bool]) -> Tensor:
    """Return which examples are in such noise, `(N,)`."""
    return torch.tensor([wanted(one) for one in conditions], dtype=torch.bool)


def error_rates(scores: Tensor, truth: Tensor, conditions: Sequence[Condition]) -> dict[str, float]:
    """Return the equal error rate at each ratio, as `eer_10db`. There may be fewer examples `(N,)` than conditions."""
    conditions = conditions[: len(scores)]
    found = {}
    for ratio in sorted({one.ratio for one in conditions}):
        here = chosen(conditions, lambda one, ratio=ratio: one.ratio == ratio)  # type: ignore[misc]
        if (rate := equal_error(scores[here], truth[here])) is not None:
            found[f"eer_{ratio:g}db"] = rate
    return found


def simple_spotters(data: DataModule, positive: int) -> dict[str, dict[str, float]]:
    """Return equal error rates on the test split of the mean energy, and of logistic regression on the mean and the
    deviation of each mel band, fitted to one epoch of the training examples."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rate = getattr(data.spec.input, "sample_rate", None)
    if rate is None:
        return {}
    train, test = list(plain_batches(data, CPU, seed=0)), list(testing_batches(data, CPU))
    x_train, x_test = (torch.cat([described(batch, rate) for batch in split]).numpy() for split in (train, test))
    y_train, y_test = (torch.cat([batch.targets for batch in split]) == positive for split in (train, test))  # type: ignore[misc]
    method = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000)).fit(x_train, y_train.numpy())
    mels = x_test.shape[1] // 2
    scores = {
        "mean energy": torch.from_numpy(x_test[:, :mels].mean(1)),
        "logistic regression on mel bands": torch.from_numpy(method.predict_proba(x_test)[:, 1]),
    }
    conditions = getattr(data, "conditions", ())
    found = {}
    for name, some in scores.items():
        rates = {"eer": equal_error(some, y_test.long()), **error_rates(some, y_test.long(), conditions)}
        found[name] = {f"test/{key}": one for key, one in rates.items() if one is not None}
    return found
