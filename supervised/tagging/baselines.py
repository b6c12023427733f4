"""Simple taggers as baselines, of a word alone and of a word with its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches
from lab.data.spec import InputSpec

if TYPE_CHECKING:
    from torchmetrics import Metric

CPU = torch.device("cpu")
SIDE = 2  # words on either side of the one that is tagged


def simple_taggers(data: DataModule, metrics: Callable[[], Mapping[str, Metric]]) -> dict[str, dict[str, float]]:
    """Fit simple taggers to all training sentences and return their test metrics, by the name of the method: the tag
    that a word has most often in training, and logistic regression on a word with the two before and after it. Nothing
    is tried where the inputs are no token ids.

    Args:
        data: prepared, with a tag for each word.
        metrics: makes fresh metrics of predicted and true tags, by name.
    """
    form = data.spec.input
    if not isinstance(form, InputSpec) or form.vocab is None:
        return {}
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    known = [_rows(batch) for batch in data.unchanged(CPU)]
    windows, tags = (torch.cat([rows[place] for rows in known]) for place in (0, 1))
    counts = torch.zeros(form.vocab, int(tags.max()) + 1, dtype=torch.int64)
    counts.index_put_((windows[:, SIDE], tags), torch.ones_like(tags), accumulate=True)
    counts[counts.sum(1) == 0] = counts.sum(0)  # a word that is in no training sentence
    encoder = OneHotEncoder(handle_unknown="ignore")
    model = LogisticRegression(max_iter=1_000).fit(encoder.fit_transform(windows.numpy()), tags.numpy())
    ways: dict[str, Callable[[Tensor], Any]] = {
        "most frequent tag of the word": lambda rows: counts.argmax(1)[rows[:, SIDE]],
        "logistic regression on five words": lambda rows: model.predict(encoder.transform(rows.numpy())),
    }
    found = {}
    for name, way in ways.items():
        fresh = metrics()
        for batch in testing_batches(data, CPU):
            rows, _ = _rows(batch)
            assert isinstance(batch.targets, Tensor)
            assert isinstance(batch.mask, Tensor)
            predicted = torch.zeros_like(batch.targets)
            predicted[batch.mask] = torch.as_tensor(way(rows))
            for metric in fresh.values():
                metric.update(predicted, batch.targets)
        found[name] = {f"test/{key}": float(metric.compute()) for key, metric in fresh.items()}
    return found


def _rows(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return each real word with its neighbours, `(N, 5)`, -1 where there is none, and its tag, `(N,)`."""
    ids, mask, tags = batch.inputs, batch.mask, batch.targets
    assert isinstance(ids, Tensor)
    assert isinstance(mask, Tensor)
    assert isinstance(tags, Tensor)
    padded = torch.nn.functional.pad(ids.masked_fill(~mask, -1), (SIDE, SIDE), value=-1)
    return padded.unfold(1, 2 * SIDE + 1, 1)[mask], tags[mask]
