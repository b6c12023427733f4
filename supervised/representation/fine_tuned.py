"""Fine-tuning: a classifier that begins with the encoder of another run, beside the same network from random
weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from lab.config.types import PositiveFloat, Probability
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import built_anew
from lab.errors import ConfigError
from lab.training.optimization import ParameterGroup
from supervised.baselines import simple_classifiers
from supervised.classifier import Classifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torchmetrics import Metric

# Dimensions: B examples.


class FineTuned(Classifier):
    """A classifier whose encoder was trained before, by another run, and is trained further here.

    A second network of the same form begins with random weights. It sees the same batches, augmented alike, for as many
    steps, and no weight is in both: so the figures of both stand side by side for each seed. Gradients are clipped
    together, where they are.

    Args:
        encoder: `Pretrained` without `freeze`.
        label_smoothing: as for Classifier.
        encoder_rate: factor on the learning rate of the encoder that was trained before.
    """

    descriptions = {
        **Classifier.descriptions,
        "test/scratch_accuracy": "the same for the network that began with random weights",
        "test/gained": "how much more is classified correctly than by the network that began with random weights",
    }

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        label_smoothing: Probability = 0.0,
        encoder_rate: PositiveFloat = 1.0,
    ) -> None:
        super().__init__(spec, encoder=encoder, label_smoothing=label_smoothing, encoder_rate=encoder_rate)
        if not self.encoder.pretrained or self.encoder.frozen:
            received = "with freeze" if self.encoder.frozen else "that no run has trained"
            raise ConfigError(
                f"FineTuned needs an encoder that was trained before and may change, received "
                f"{type(self.encoder).__name__} {received}: set model.encoder to lab.encoders.Pretrained without "
                "freeze, or use Classifier or LinearProbe"
            )
        fresh = built_anew(self.encoder)
        self.scratch = nn.Sequential(fresh, nn.Linear(fresh.features_dim, self.classes))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        tuned = super().losses(batch)
        smoothing = self.label_smoothing if self.training else 0.0
        scratch = F.cross_entropy(self._from_random(batch), batch.targets, label_smoothing=smoothing)  # type: ignore[arg-type]
        return {**tuned, "loss": tuned["loss"] + scratch, "tuned_loss": tuned["loss"], "scratch_loss": scratch}

    def metrics(self) -> dict[str, Metric]:
        return {**super().metrics(), "scratch_accuracy": MulticlassAccuracy(self.classes, average="micro")}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        tuned = super().measure(batch, {name: one for name, one in metrics.items() if name != "scratch_accuracy"})
        logits, (_, labels) = self._from_random(batch), batch
        metrics["scratch_accuracy"].update(logits, labels)
        scratch = F.cross_entropy(logits, labels)
        return {"loss": tuned["loss"] + scratch, "tuned_loss": tuned["loss"], "scratch_loss": scratch}

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        tuned, scratch = (self.running[name].compute() for name in ("accuracy", "scratch_accuracy"))
        self.log("test/gained", tuned - scratch)

    def parameter_groups(self) -> list[ParameterGroup]:
        others = ParameterGroup([*self.head.parameters(), *self.scratch.parameters()])
        return [ParameterGroup(self.encoder.parameters(), rate=self.encoder_rate), others]

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The network that began with random weights, and simple classifiers on the same labels."""
        measured = super().metrics()
        with self.at_rest(seed=0):
            for batch in testing_batches(data, self.device):
                logits = self._from_random(batch)
                for metric in measured.values():
                    metric.to(self.device).update(logits, batch.targets)
        scratch = {f"test/{name}": float(metric.compute()) for name, metric in measured.items()}
        return {"from random weights": scratch, **simple_classifiers(data, super().metrics)}

    def _from_random(self, batch: Batch) -> Tensor:
        """Return the logits of the network that began with random weights."""
        encoder, head = self.scratch
        features = encoder(batch.inputs, batch.mask) if batch.mask is not None else encoder(batch.inputs)
        return head(features)  # type: ignore[no-any-return]
