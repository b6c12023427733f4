"""The linear probe: how well one linear layer classifies by the features of a frozen encoder (Alain & Bengio 2017)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lab.data.base import DataModule
from lab.data.loader import plain_batches, testing_batches, validation_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from lab.training.optimization import ParameterGroup
from supervised.baselines import shrunk
from supervised.classifier import Classifier
from supervised.representation.few import Features, encoded, logistic_regression, untrained


class LinearProbe(Classifier):
    """A classifier whose encoder does not change. What is measured are the encoder's features, the vectors that
    `forward` returns: of a VAE those under the layer that gives the posterior's mean and variance.

    Its baselines are fitted on the same examples: logistic regression on the inputs themselves, and on the features of
    the same network with random weights. Where inputs are not numbers of one size, such as texts and sounds of any
    length, they are the simple classifiers of `Classifier` and the latter.

    Args:
        encoder: `Pretrained` with `freeze`.
    """

    def __init__(self, spec: DataSpec, *, encoder: EncoderFactory) -> None:
        super().__init__(spec, encoder=encoder)
        if not self.encoder.frozen:
            raise ConfigError(
                f"LinearProbe needs an encoder that does not change, received {type(self.encoder).__name__} without "
                "freeze: set model.encoder to lab.encoders.Pretrained with freeze: true, or use Classifier"
            )

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup(self.head.parameters())]

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        random = self._logistic_regression(data, untrained(self.encoder, self.device))
        first = next(iter(testing_batches(data, self.device)))
        numbers = isinstance(first.inputs, Tensor) and first.inputs.is_floating_point() and first.mask is None
        plain: Mapping[str, Mapping[str, float]]
        if numbers:
            plain = {"logistic regression on inputs": self._logistic_regression(data, lambda x: shrunk(x).flatten(1))}
        else:
            plain = super().baselines(data)
        return {**plain, "logistic regression on random features": random}

    def _logistic_regression(self, data: DataModule, features: Features) -> dict[str, float]:
        """Return its test metrics."""
        train = encoded(plain_batches(data, self.device, seed=0), features)
        test = encoded(testing_batches(data, self.device), features)
        held_out = validation_batches(data, self.device)
        predicted = logistic_regression(train, encoded(held_out, features) if held_out else None, test)
        measured = self.metrics()
        for metric in measured.values():
            metric.update(predicted, test.y)
        return {f"test/{name}": float(metric.compute()) for name, metric in measured.items()}
