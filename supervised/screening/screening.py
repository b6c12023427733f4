"""A classifier that raises an alarm for one class, at a threshold that finds nearly all of its examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.capabilities import Prediction
from lab.config.roles import Roles
from lab.config.types import NonNegativeFloat, PositiveFloat, Probability
from lab.data.base import DataModule
from lab.data.batch import Batch, Tensors
from lab.data.loader import validation_batches
from lab.data.spec import Classes, DataSpec
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError, nearest
from supervised.classifier import Classifier
from supervised.screening.baselines import logistic_regression
from supervised.screening.curves import cost_by_threshold, precision_recall, reliability, roc
from supervised.screening.scores import BINS, Scored, choose_threshold, screening_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from PIL.Image import Image
    from torchmetrics import Metric


class Screening(Classifier):
    """A classifier with an alarm: an example is flagged where the probability of one class reaches a threshold.

    The threshold is chosen after training, on the validation examples of that class, as `choose_threshold` says. It is
    saved with the weights, and `predict` uses it. The accuracy is that of the most probable class, without it.

    Args:
        positive: name of the class to find.
        recall: share of that class that is to be found.
        miss_cost: what one of that class that is not flagged costs, in false alarms, where costs are measured. The
            threshold does not depend on it.
        encoder, label_smoothing, encoder_rate, scale, focal: see `Classifier`.
    """

    roles = Roles(protocol=("miss_cost",), added={"miss_cost": 10.0})
    threshold: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        positive: str,
        recall: Probability = 0.98,
        miss_cost: PositiveFloat = 10.0,
        label_smoothing: Probability = 0.0,
        encoder_rate: PositiveFloat = 1.0,
        scale: bool = False,
        focal: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__(
            spec,
            encoder=encoder,
            label_smoothing=label_smoothing,
            encoder_rate=encoder_rate,
            scale=scale,
            focal=focal,
        )
        names = spec.target.names if isinstance(spec.target, Classes) else ()
        if positive not in names:
            known = f"one of {', '.join(names)}" if names else "the name of a class, but the classes have no names"
            raise ConfigError(
                f"model.positive is the class to find and must be {known}, received {positive!r}"
                f"{nearest(positive, names)}; supervised.classifier.Classifier needs none"
            )
        self.positive, self.recall, self.miss_cost = names.index(positive), recall, miss_cost
        self.register_buffer("threshold", torch.tensor(0.5))
        self.tested: list[Scored] = []
        """The batches of the test."""
        self.descriptions = {
            "test/accuracy": "share of all test examples whose most probable class is the true one",
            "test/recall": f"share of the {positive} test examples that are flagged, at a threshold that was chosen on "
            f"validation examples to flag {recall:.3g} of them",
            "test/precision": f"share of the flagged test examples that are {positive}, at the same threshold",
            "test/auroc": f"probability that a {positive} test example has a higher score than another one",
            "test/ece": f"expected calibration error: how far probabilities of {positive} are from the shares of it "
            f"among examples with such probabilities, mean over the examples, in {BINS} bins of equal width; of few "
            "examples it is above 0 even for true probabilities",
            "test/cost": f"mean cost of a test example at the threshold, in false alarms: a {positive} one that is not "
            f"flagged costs {miss_cost:g}",
            "pictures/reliability": f"share of {positive} test examples among those with about the same probability",
            "pictures/roc": f"share of {positive} test examples that are flagged, over that of the others",
            "pictures/cost": f"mean cost of a test example by the threshold, where missing a {positive} one costs "
            f"{miss_cost:g} false alarms",
        }

    def metrics(self) -> dict[str, Metric]:
        return screening_metrics(self.classes)

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        logits, (_, labels) = self(batch.inputs, batch.mask), batch
        scored = Scored(logits.softmax(1), labels, self.positive)
        self.count(scored, metrics)
        if self.confusion is not None:
            self.confusion.update(scored.predicted, labels)
            self.tested.append(scored)
        return {"loss": F.cross_entropy(logits, labels)}

    def count(self, scored: Scored, metrics: Mapping[str, Metric]) -> None:
        """Update the metrics of a validation or test with some of its examples."""
        scored.update(metrics, float(self.threshold), self.miss_cost)

    def on_test_epoch_start(self) -> None:
        super().on_test_epoch_start()
        self.tested = []

    def adapt(self, data: DataModule) -> None:
        super().adapt(data)
        for batch in validation_batches(data, self.device) or ():
            if (batch.targets == self.positive).any():  # type: ignore[union-attr]
                return
        raise ConfigError(
            f"Screening needs validation examples of {self.names[self.positive]} for its threshold, received none"
        )

    def settle(self, data: DataModule) -> None:
        scores = []
        with self.at_rest(seed=0):
            for batch in validation_batches(data, self.device) or ():
                x, labels = batch
                scores.append(self(x, batch.mask).softmax(1)[labels == self.positive, self.positive])
        self.threshold.fill_(choose_threshold(torch.cat(scores), self.recall))

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return logistic_regression(data, self.positive, self.recall, self.miss_cost)

    def told(self) -> Mapping[str, Any]:
        return {"positive": self.names[self.positive], "threshold": float(self.threshold)}

    def export(self, path: Path) -> Sequence[str]:
        name = self.names[self.positive]
        alarm = f"{name} where its probability, the softmax of the logits, is at least {float(self.threshold):.6g}"
        return [*super().export(path), f"{alarm}: this threshold is in the file's metadata"]

    def predict(self, inputs: Tensors, mask: Tensors | None = None) -> list[Prediction]:
        """Return the class to find where it is flagged, else the most probable other class, each with its probability,
        for `(B, *spec.input.shape)`."""
        with self.at_rest(seed=0):
            probabilities = self.probabilities(inputs, mask)
        flagged = probabilities[:, self.positive] >= self.threshold
        others = probabilities.clone()
        others[:, self.positive] = -1
        labels = torch.where(flagged, self.positive, others.argmax(1))
        chosen = probabilities.gather(1, labels[:, None])[:, 0]
        return [Prediction(self.names[i], p) for i, p in zip(labels.tolist(), chosen.tolist(), strict=True)]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """The confusion matrix of the test, without the threshold; with it, the curves of precision and recall, of
        ROC, and of the cost; and how far the probabilities can be relied on."""
        drawn = super().pictures(batch)
        if self.tested:
            probabilities = torch.cat([one.probabilities for one in self.tested])
            everything = Scored(probabilities, torch.cat([one.labels for one in self.tested]), self.positive)
            name = self.names[self.positive]
            threshold = float(self.threshold)
            drawn["precision_recall"] = precision_recall(everything, threshold, name)
            drawn["roc"] = roc(everything, threshold, name)
            drawn["reliability"] = reliability(everything, name)
            drawn["cost"] = cost_by_threshold(everything, threshold, self.miss_cost, name)
        return drawn
