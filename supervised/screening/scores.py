"""What a screening comes to: scores of examples, the threshold for them, and the metrics of both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.classification import (
    BinaryAUROC,
    BinaryCalibrationError,
    BinaryPrecision,
    BinaryRecall,
    MulticlassAccuracy,
)

if TYPE_CHECKING:
    from torchmetrics import Metric

BINS = 10
"""Groups of examples by score, of equal width, in which scores are compared with what happened."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Some examples with the probabilities of their classes.

    Args:
        probabilities: `(B, classes)`.
        labels: the true classes, `(B,)`.
        positive: number of the class to find.
    """

    probabilities: Tensor
    labels: Tensor
    positive: int

    @property
    def predicted(self) -> Tensor:
        """The most probable classes, `(B,)`."""
        return self.probabilities.argmax(1)

    @property
    def scores(self) -> Tensor:
        """Probability of the class to find, `(B,)`."""
        return self.probabilities[:, self.positive]

    @property
    def truth(self) -> Tensor:
        """1 where an example is of the class to find, else 0, `(B,)`."""
        return (self.labels == self.positive).long()

    def costs(self, threshold: float | Tensor, miss_cost: float) -> Tensor:
        """Return what each example costs at a threshold, `(B,)`: `miss_cost` where it should have been flagged and is
        not, 1 for a false alarm, else 0."""
        flagged, truth = self.scores >= threshold, self.truth.bool()
        return miss_cost * (truth & ~flagged).float() + (flagged & ~truth).float()

    def update(self, metrics: Mapping[str, Metric], threshold: float, miss_cost: float) -> None:
        """Update those of `screening_metrics` with these examples."""
        flagged = (self.scores >= threshold).long()
        metrics["accuracy"].update(self.predicted, self.labels)
        metrics["recall"].update(flagged, self.truth)
        metrics["precision"].update(flagged, self.truth)
        metrics["auroc"].update(self.scores, self.truth)
        metrics["ece"].update(self.scores, self.truth)
        metrics["cost"].update(self.costs(threshold, miss_cost))


def screening_metrics(classes: int) -> dict[str, Metric]:
    """Return fresh metrics: the accuracy of the most probable class; recall and precision of the flagged examples; the
    area under the ROC curve, which needs no threshold; the expected calibration error of the scores (Naeini et al.
    2015), by bins of equal width; and the mean cost of an example."""
    return {
        "accuracy": MulticlassAccuracy(classes, average="micro"),
        "recall": BinaryRecall(),
        "precision": BinaryPrecision(),
        "auroc": BinaryAUROC(),
        "ece": BinaryCalibrationError(BINS, norm="l1"),
        "cost": MeanMetric(),
    }


class Bins(NamedTuple):
    """Examples in groups by score: the edges of the groups `(BINS + 1,)`, and for each that has examples the number of
    these, their mean score and the share of the class to find among them, `(n,)` each."""

    edges: Tensor
    counts: Tensor
    scores: Tensor
    shares: Tensor


def binned(scored: Scored) -> Bins:
    """Return the groups whose scores and shares are equal where the scores are true probabilities."""
    edges = torch.linspace(0, 1, BINS + 1)
    scores, truth = scored.scores.cpu().contiguous(), scored.truth.cpu().float()
    number = torch.bucketize(scores, edges[1:-1], right=True)
    counts = torch.bincount(number, minlength=BINS)
    there = counts > 0
    means = (torch.bincount(number, one, BINS)[there] / counts[there] for one in (scores, truth))
    return Bins(edges, counts[there], *means)


def choose_threshold(scores: Tensor, recall: float) -> float:
    """Return the threshold that a new positive example reaches with a probability of at least `recall`.

    With n scores, that is the k-th smallest one, where k is (1 - recall) (n + 1), rounded down: a new score is equally
    likely to take any of the n + 1 places among them (split conformal prediction, Vovk et al. 2005). Where k would be
    0, there are too few examples to promise that much, and the smallest score is returned: its chance is n / (n + 1).

    Args:
        scores: of positive examples that the model was not trained on, `(n,)`, n at least 1.
        recall: from 0 to 1.
    """
    k = math.floor((1 - recall) * (len(scores) + 1) + 1e-9)  # in floating point, 0.02 * 50 is a little less than 1
    return float(scores.sort().values[max(k, 1) - 1])
