"""Transcription in two steps: sounds are cut where they are silent, and each piece is classified on its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches
from supervised.baselines import described

if TYPE_CHECKING:
    from torchmetrics import Metric

CPU = torch.device("cpu")
FRAME = 0.02  # seconds
SILENT = 0.05
"""Share of the loudest frame's root mean square below which a frame is silent."""
SHORTEST_WORD, SHORTEST_SILENCE = 4, 3  # frames


def by_silence(data: DataModule, metrics: Mapping[str, Callable[[], Metric]]) -> dict[str, dict[str, float]]:
    """Return test metrics of sequences that are cut at silences, whose pieces are classified by the mean and the
    deviation of their mel bands.

    The classifiers, the nearest centroid and ridge regression, are fitted to the training recordings of single words.
    Data that have no such recordings have no baselines.
    """
    from sklearn.linear_model import RidgeClassifier
    from sklearn.neighbors import NearestCentroid
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    words, rate = getattr(data, "words", None), getattr(data.spec.input, "sample_rate", None)
    if words is None or rate is None:
        return {}
    batches = list(words(CPU))
    x = torch.cat([described(batch, rate) for batch in batches]).numpy()
    y = torch.cat([labels for _, labels in batches]).numpy()
    methods: dict[str, Any] = {
        "cut at silence, nearest centroid": NearestCentroid(),
        "cut at silence, ridge regression": RidgeClassifier(),
    }
    fitted = {name: make_pipeline(StandardScaler(), method).fit(x, y) for name, method in methods.items()}
    found = {name: {key: metric() for key, metric in metrics.items()} for name in methods}
    pad = data.spec.require_tokens("by_silence").pad
    for batch in testing_batches(data, CPU):
        true = [row[row != pad].tolist() for row in batch.targets]  # type: ignore[union-attr]
        cut = [pieces(sound, rate) for sound in _without_padding(batch)]
        features = [torch.cat([described(Batch(one[None]), rate) for one in some]) for some in cut]
        for name, method in fitted.items():
            predicted = [method.predict(rows.numpy()).tolist() for rows in features]
            for metric in found[name].values():
                metric.update(predicted, true)
    return {name: {key: float(metric.compute()) for key, metric in some.items()} for name, some in found.items()}


def pieces(sound: Tensor, rate: int) -> list[Tensor]:
    """Return the stretches of a sound `(T,)` between its silences, at least one: the whole sound where nothing is left.

    Silences of fewer than 3 frames of 20 ms cut nothing, and pieces of fewer than 4 are left out.
    """
    size = round(FRAME * rate)
    frames = sound[: len(sound) // size * size].view(-1, size)
    loudness = frames.square().mean(1).sqrt()
    loud = (loudness > SILENT * loudness.max()).tolist() if len(loudness) else []
    found: list[list[int]] = []  # first frame, and the one after the last
    for frame, there in enumerate(loud):
        if not there:
            continue
        if found and frame - found[-1][1] < SHORTEST_SILENCE:
            found[-1][1] = frame + 1
        else:
            found.append([frame, frame + 1])
    kept = [sound[begin * size : end * size] for begin, end in found if end - begin >= SHORTEST_WORD]
    return kept or [sound]


def _without_padding(batch: Batch) -> list[Tensor]:
    inputs, mask = batch.inputs, batch.mask
    assert isinstance(inputs, Tensor)
    if mask is None:
        return list(inputs)
    assert isinstance(mask, Tensor)
    return [one[real] for one, real in zip(inputs, mask, strict=True)]
