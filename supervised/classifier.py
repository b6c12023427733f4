"""Classification: an encoder and one linear layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassRecall,
)

from lab.config.types import Probability
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.training.model import Model
from lab.training.pictures import confusion_matrix, grid

if TYPE_CHECKING:
    from PIL.Image import Image


class Classifier(Model):
    """Softmax classification by cross-entropy.

    Args:
        encoder: the trunk.
        label_smoothing: probability mass spread evenly over all classes (Szegedy et al. 2016, section 7).
    """

    family = "supervised"
    descriptions = {
        "test/accuracy": "share of all test images that are classified correctly",
        "test/recall": "mean over the classes of the share found (macro recall)",
        "test/f1": "mean over the classes of F1 (macro F1)",
    }

    def __init__(self, spec: DataSpec, *, encoder: EncoderFactory, label_smoothing: Probability = 0.0) -> None:
        super().__init__(spec)
        classes = spec.require_classes("Classifier")
        self.encoder = build_encoder(encoder, spec.input)
        self.head = nn.Linear(self.encoder.features_dim, classes)
        self.label_smoothing = label_smoothing
        self.test_metrics = nn.ModuleDict(
            {
                "test/accuracy": MulticlassAccuracy(classes, average="micro"),
                "test/recall": MulticlassRecall(classes, average="macro"),
                "test/f1": MulticlassF1Score(classes, average="macro"),
            }
        )
        self.confusion = MulticlassConfusionMatrix(classes)
        self.mistakes: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        """Return logits `(B, classes)`."""
        return self.head(self.encoder(x))  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, labels = batch
        logits = self(x)
        smoothing = self.label_smoothing if self.training else 0.0
        accuracy = (logits.detach().argmax(1) == labels).float().mean()
        return {"loss": F.cross_entropy(logits, labels, label_smoothing=smoothing), "accuracy": accuracy}

    def on_test_epoch_start(self) -> None:
        self.mistakes = []
        self.confusion.reset()

    def test_step(self, batch: Batch, batch_index: int) -> None:
        x, labels = batch
        logits = self(x)
        predicted = logits.argmax(1)
        self.log("test/loss", F.cross_entropy(logits, labels), batch_size=batch.weight)
        for name, metric in self.test_metrics.items():
            metric(predicted, labels)
            self.log(name, metric)
        self.confusion.update(predicted, labels)
        self.mistakes.append(x[predicted != labels])

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """The confusion matrix of the last test, and the images it got wrong."""
        if not self.mistakes:
            return {}
        import torch

        wrong = torch.cat(self.mistakes)[:100]
        drawn: dict[str, Any] = {"confusion_matrix": confusion_matrix(self.confusion.compute())}
        return drawn | ({"mistakes": grid(wrong)} if len(wrong) else {})
