"""The linear probe: how well one linear layer classifies by the features of a frozen encoder (Alain & Bengio 2017)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches, training_batches, validation_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from lab.system.randomness import own_randomness
from lab.training.optimization import ParameterGroup
from supervised.baselines import shrunk
from supervised.classifier import Classifier

PENALTIES = (1.0, 0.1, 0.01)
"""Values of C, the inverse of the ridge penalty, that logistic regression tries on the validation examples."""

Features = Callable[[Tensor], Tensor]


class LinearProbe(Classifier):
    """A classifier whose encoder does not change. What is measured are the encoder's features, the vectors that
    `forward` returns: of a VAE those under the layer that gives the posterior's mean and variance.

    Its baselines are fitted on the same examples: logistic regression on the inputs themselves, and on the features of
    the same network with random weights.

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
        with own_randomness(self.device, seed=0):
            random = type(self.encoder)(self.encoder.spec, **self.encoder.settings).to(self.device).eval()
        return {
            "logistic regression on inputs": self._logistic_regression(data, lambda x: shrunk(x).flatten(1)),
            "logistic regression on random features": self._logistic_regression(data, random),
        }

    def _logistic_regression(self, data: DataModule, features: Features) -> dict[str, float]:
        """Return its test metrics. The penalty is that of the best accuracy on the validation examples; without any, it
        is the first of PENALTIES."""
        from sklearn.linear_model import LogisticRegression

        train = _encoded(training_batches(data, self.device, seed=0), features)
        test = _encoded(testing_batches(data, self.device), features)
        held_out = validation_batches(data, self.device)
        shift, scale = train.x.mean(), train.x.std().clamp(min=1e-6)
        fitted = [
            LogisticRegression(C=penalty, max_iter=1000, tol=1e-3).fit((train.x - shift) / scale, train.y)
            for penalty in (PENALTIES if held_out else PENALTIES[:1])
        ]
        if held_out:
            validation = _encoded(held_out, features)
            fitted.sort(key=lambda method: method.score((validation.x - shift) / scale, validation.y))
        predicted = torch.from_numpy(fitted[-1].predict((test.x - shift) / scale))
        measured = self.metrics()
        for metric in measured.values():
            metric.update(predicted, test.y)
        return {f"test/{name}": float(metric.compute()) for name, metric in measured.items()}


class _Encoded(NamedTuple):
    """Features `(N, F)` and classes `(N,)` of a split, on the CPU."""

    x: Tensor
    y: Tensor


def _encoded(batches: Iterable[Batch], features: Features) -> _Encoded:
    with torch.no_grad():
        parts = [(features(x).cpu(), y.cpu()) for x, y in batches]
    return _Encoded(torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts]))
