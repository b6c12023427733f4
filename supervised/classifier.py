"""Classification: an encoder and one linear layer."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassRecall,
)

from lab.capabilities import Prediction
from lab.config.roles import Roles
from lab.config.types import NonNegativeFloat, PositiveFloat, Probability
from lab.data.base import DataModule
from lab.data.batch import Batch, Tensors, mapped
from lab.data.loader import training_batches
from lab.data.spec import DataSpec, InputSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.nn.losses import focal as focal_loss
from lab.nn.scaling import Standardize
from lab.training.captions import captioned
from lab.training.exportable import Exportable
from lab.training.optimization import ParameterGroup
from lab.training.pictures import confusion_matrix
from supervised.baselines import simple_classifiers
from supervised.seen import looked_at
from supervised.sounds import Judged, heard, judged, spectrograms, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from PIL.Image import Image
    from torchmetrics import Metric

    from lab.data.sound import Sound
    from lab.data.tokenizers.base import Tokenizer

STANDARDISED = "standardised by the training data"
MOST_MISTAKES = 100  # that are drawn


class Classifier(Exportable):
    """Softmax classification by cross-entropy.

    Args:
        encoder: the trunk.
        label_smoothing: probability mass spread evenly over all classes (Szegedy et al. 2016, section 7).
        focal: gamma of the focal loss, by which examples that are right already count less (Lin et al. 2017; there 2);
            0 for the cross-entropy. Validation and test have the cross-entropy.
        encoder_rate: factor on the encoder's learning rate; below 1 to fine-tune a pretrained encoder.
        scale: whether inputs are shifted and scaled to mean 0 and deviation 1 over the training examples, each column
            (the last axis) by itself. The numbers for that are saved with the weights.
    """

    family = "supervised"
    results = ("logits",)
    roles = Roles(added={"encoder_rate": 1.0, "scale": False, "focal": 0.0})
    descriptions = {
        "test/accuracy": "share of all test examples that are classified correctly",
        "test/recall": "mean over the classes of the share found (macro recall)",
        "test/f1": "mean over the classes of F1 (macro F1)",
        "pictures/confusion_matrix": "test examples by true class (down) and predicted class (across), mistakes in red",
        "pictures/mistakes": "misclassified test examples, each with its true and its predicted class",
        "texts/mistakes": "misclassified test texts, each with its true and its predicted class",
        "pictures/saliency": "test images, and below each where its class depends on it, bright: how far the "
        "log-probability of the predicted class falls where a square there is covered",
        "pictures/filters": "weights of the first convolution, one square for each of its filters; grey is 0",
        "pictures/spectrograms": "test examples, each with its true and its predicted class",
    }

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        label_smoothing: Probability = 0.0,
        encoder_rate: PositiveFloat = 1.0,
        scale: bool = False,
        focal: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__(spec)
        if focal and label_smoothing:
            raise ConfigError("model.focal and model.label_smoothing are losses of their own; choose one")
        self.classes = spec.require_classes(type(self).__name__)
        self.scaling = Standardize(_columns(spec)) if scale else None
        self.encoder = build_encoder(encoder, spec.input)
        self.head = nn.Linear(self.encoder.features_dim, self.classes)
        self.label_smoothing, self.focal, self.encoder_rate = label_smoothing, focal, encoder_rate
        self.confusion: MulticlassConfusionMatrix | None = None
        names = getattr(spec.target, "names", ())
        self.names: Sequence[str] = names or [str(number) for number in range(self.classes)]
        self.rate = getattr(spec.input, "sample_rate", None)
        """Samples per second, where the inputs are sounds."""
        self.tokenizer: Tokenizer | None = getattr(spec.reader, "tokenizer", None)
        """Of the words, where the inputs are texts."""
        self.mistakes: list[Judged] = []

    def forward(self, x: Tensors, mask: Tensors | None = None) -> Tensor:
        """Return logits `(B, classes)` for inputs `(B, *spec.input.shape)` and, for sequences, a mask `(B, T)`; or for
        dicts of them."""
        x = self.scaling(x) if self.scaling else x
        return self.head(self.encoder(x, mask) if mask is not None else self.encoder(x))  # type: ignore[no-any-return]

    def adapt(self, data: DataModule) -> None:
        if self.scaling:
            # (N, F): the rows of all examples, or the real steps of all sequences.
            batches = training_batches(data, self.device, seed=0)
            self.scaling.fit(torch.cat([_rows(batch) for batch in batches]))

    @property
    def input_preparation(self) -> str | None:
        return STANDARDISED if self.scaling else None

    @property
    def preparation_settings(self) -> Mapping[str | None, str]:
        form = self.spec.input
        can = isinstance(form, InputSpec) and form.dtype == "float32" and len(form.shape) in (1, 2)
        if not can or "scale" not in signature(type(self)).parameters:
            return {}
        return {STANDARDISED: "--model.scale=true", None: "--model.scale=false"}

    def probabilities(self, inputs: Tensors, mask: Tensors | None = None) -> Tensor:
        """Return the probability of each class, `(B, classes)`, for inputs on any device."""
        given, real = (mapped(one, lambda part: part.to(self.device)) for one in (inputs, mask))
        return self(given, real).softmax(1)  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        logits, (_, labels) = self(batch.inputs, batch.mask), batch
        accuracy = (logits.detach().argmax(1) == labels).float().mean()
        if self.training and self.focal:
            return {"loss": focal_loss(logits, labels, self.focal), "accuracy": accuracy}
        smoothing = self.label_smoothing if self.training else 0.0
        return {"loss": F.cross_entropy(logits, labels, label_smoothing=smoothing), "accuracy": accuracy}

    def metrics(self) -> dict[str, Metric]:
        return {
            "accuracy": MulticlassAccuracy(self.classes, average="micro"),
            "recall": MulticlassRecall(self.classes, average="macro"),
            "f1": MulticlassF1Score(self.classes, average="macro"),
        }

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        logits, (_, labels) = self(batch.inputs, batch.mask), batch
        predicted = logits.argmax(1)
        for metric in metrics.values():
            metric.update(predicted, labels)
        if self.confusion is not None:
            self.confusion.update(predicted, labels)
            if isinstance(batch.inputs, Tensor):
                wrong = (predicted != labels).nonzero()[: MOST_MISTAKES - len(self.mistakes), 0]
                self.mistakes += judged(batch, predicted, wrong)
        return {"loss": F.cross_entropy(logits, labels)}

    def on_test_epoch_start(self) -> None:
        super().on_test_epoch_start()
        self.confusion, self.mistakes = MulticlassConfusionMatrix(self.classes).to(self.device), []

    def parameter_groups(self) -> list[ParameterGroup]:
        if self.encoder_rate == 1:
            return super().parameter_groups()
        encoder = ParameterGroup(self.encoder.parameters(), rate=self.encoder_rate)
        return [encoder, ParameterGroup(self.head.parameters())]

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return simple_classifiers(data, self.metrics, scale=self.scaling is not None)

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        return {**super().artifacts(), **({"tokenizer": self.tokenizer.save} if self.tokenizer else {})}

    def predict(self, inputs: Tensors, mask: Tensors | None = None) -> list[Prediction]:
        """Return the most probable class of each input and its probability, for `(B, *spec.input.shape)` or a dict of
        such tensors. Sequences may have a mask, `(B, T)`, or a dict of them."""
        with self.at_rest(seed=0):
            probability, label = self.probabilities(inputs, mask).max(1)
        return [Prediction(self.names[i], p) for i, p in zip(label.tolist(), probability.tolist(), strict=True)]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """The confusion matrix of the test, and misclassified images or sounds. Of sounds, some that were classified
        too."""
        if self.confusion is None:
            return {}
        drawn = {"confusion_matrix": confusion_matrix(self.confusion.compute(), self.names)}
        wrong = self.mistakes
        if self.rate:
            predicted = self(batch.inputs, batch.mask).argmax(1)
            drawn["spectrograms"] = spectrograms(judged(batch, predicted, spread(len(batch))), self.rate, self.names)
            if wrong:
                drawn["mistakes"] = spectrograms(wrong, self.rate, self.names)
        elif isinstance(batch.inputs, Tensor) and batch.inputs.ndim == 4:
            drawn |= looked_at(self, self.encoder, batch.inputs)
            if wrong:
                told = [(self.names[one.label], self.names[one.predicted]) for one in wrong]
                images = torch.stack([one.input for one in wrong])
                drawn["mistakes"] = captioned(images, told, "black: true class, red: predicted class", red=1)
        return drawn

    def texts(self, batch: Batch) -> dict[str, str]:
        """Misclassified texts of the test, a line each."""
        if self.tokenizer is None or not self.mistakes:
            return {}
        told = [
            f"true {self.names[one.label]}, predicted {self.names[one.predicted]}: "
            f"{self.tokenizer.decode(one.input.tolist())}"
            for one in self.mistakes
        ]
        return {"mistakes": "\n".join(told)}

    def sounds(self, batch: Batch) -> dict[str, Sound]:
        """Misclassified sounds of the test."""
        return heard(self.mistakes, self.rate, self.names) if self.rate else {}


def _columns(spec: DataSpec) -> int:
    """Return the length of the last axis. Raises ConfigError where the inputs are not numbers with columns."""
    form = spec.require_one_input("model.scale")
    if form.dtype != "float32" or len(form.shape) not in (1, 2):
        raise ConfigError(
            f"model.scale is for vectors (F,) and sequences (T, F) of float32, but the input is {form.dtype} of shape "
            f"{form.shape}"
        )
    return form.shape[-1]


def _rows(batch: Batch) -> Tensor:
    """Return the real rows of a batch of vectors or sequences, `(n, F)`."""
    x, mask = batch.inputs, batch.mask
    assert isinstance(x, Tensor)
    return x[mask] if isinstance(mask, Tensor) else x.flatten(0, -2)
