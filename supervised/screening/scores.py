"""What a screening comes to: scores of examples, the threshold for them, and the metrics of both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor
from torchmetrics.classification import BinaryAUROC, BinaryPrecision, BinaryRecall, MulticlassAccuracy

if TYPE_CHECKING:
    from torchmetrics import Metric


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

    def update(self, metrics: Mapping[str, Metric], threshold: float) -> None:
        """Update those of `screening_metrics` with these examples."""
        flagged = (self.scores >= threshold).long()
        metrics["accuracy"].update(self.predicted, self.labels)
        metrics["recall"].update(flagged, self.truth)
        metrics["precision"].update(flagged, self.truth)
        metrics["auroc"].update(self.scores, self.truth)


def screening_metrics(classes: int) -> dict[str, Metric]:
    """Return fresh metrics: the accuracy of the most probable class; recall and precision of the flagged examples; and
    the area under the ROC curve, which needs no threshold."""
    return {
        "accuracy": MulticlassAccuracy(classes, average="micro"),
        "recall": BinaryRecall(),
        "precision": BinaryPrecision(),
        "auroc": BinaryAUROC(),
    }


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
