"""Forecasting with an encoder: any network that turns a sequence into a vector, and one linear layer."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lab.config.types import PositiveInt
from lab.data.spec import DataSpec, InputSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from supervised.forecasting.base import Forecasting


class Forecaster(Forecasting):
    """Predicts the next steps of a series from the vector of an encoder. See `Forecasting`.

    The linear layer begins at 0: the first forecast is the mean change, and training improves on it.

    Args:
        encoder: reads the changes, `(C, F)`.
        lags: of the differences; none to predict the steps themselves.
        log: take the logarithm first.
    """

    def __init__(
        self, spec: DataSpec, *, encoder: EncoderFactory, lags: Sequence[PositiveInt] = (), log: bool = False
    ) -> None:
        super().__init__(spec, lags=lags, log=log)
        self.encoder = build_encoder(encoder, InputSpec((self.changes, self.columns)))
        self.head = nn.Linear(self.encoder.features_dim, self.horizon * self.columns)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def predict_changes(self, z: Tensor) -> Tensor:
        return self.head(self.encoder(z)).unflatten(1, (self.horizon, self.columns))  # type: ignore[no-any-return]
