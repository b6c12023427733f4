"""Forecasting with an encoder: any network that turns a sequence into a vector, and one linear layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lab.config.roles import Roles
from lab.config.types import PositiveInt, Probability
from lab.data.spec import DataSpec, InputSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.nn.losses import SQUARED, RegressionLoss
from supervised.forecasting.base import COVERAGE, Forecasting

# Dimensions: those of `Forecasting`; P changes in a patch.


class Forecaster(Forecasting):
    """Predicts the next steps of a series from the vector of an encoder. See `Forecasting`.

    The linear layer begins at 0: the first forecast is the mean change, and training improves on it.

    Args:
        encoder: reads the changes, `(C / P, P * F)`.
        patch: P, changes one after the other that are one step of the encoder (Nie et al. 2023, section 3.1). The
            earliest changes are left out where C is no multiple of it.
        separate: whether the encoder reads each column by itself, and knows nothing of the others (the same). All
            columns share it, and the linear layer.
        lags: of the differences; none to predict the steps themselves.
        log: take the logarithm first.
        coverage: share of the steps that the bands should cover.
        loss: squared error of the changes, or one that wild steps pull less, or that of a quantile.
    """

    roles = Roles(added={"patch": 1, "separate": False})

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        patch: PositiveInt = 1,
        separate: bool = False,
        lags: Sequence[PositiveInt] = (),
        log: bool = False,
        coverage: Probability = COVERAGE,
        loss: RegressionLoss = SQUARED,
    ) -> None:
        super().__init__(spec, lags=lags, log=log, coverage=coverage, loss=loss)
        if patch > self.changes:
            raise ConfigError(f"model.patch must be at most {self.changes}, the changes of the past, received {patch}")
        self.patch, self.separate = patch, separate
        inputs, outputs = (1 if separate else self.columns) + self.known, 1 if separate else self.columns
        self.encoder = build_encoder(encoder, InputSpec((self.changes // patch, patch * inputs)))
        self.head = nn.Linear(self.encoder.features_dim, self.horizon * outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def predict_changes(self, z: Tensor) -> Tensor:
        if not self.separate:
            return self._read(z).view(len(z), self.horizon, self.columns)
        columns = z[..., : self.columns].transpose(1, 2).unsqueeze(3)  # (B, F, C, 1)
        known = z[:, None, :, self.columns :].expand(-1, self.columns, -1, -1)
        each = torch.cat([columns, known], 3).flatten(0, 1)  # (B * F, C, 1 + K)
        return self._read(each).view(len(z), self.columns, self.horizon).transpose(1, 2)

    def _read(self, z: Tensor) -> Tensor:
        """Return what the linear layer makes of changes `(N, C, ...)`."""
        whole = z[:, z.shape[1] % self.patch :]
        patches = whole.reshape(len(z), -1, self.patch * z.shape[2])
        return self.head(self.encoder(patches))  # type: ignore[no-any-return]
