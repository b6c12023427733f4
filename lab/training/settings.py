"""Settings of the trainer: how long to train, which weights to judge, what to log."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from lab.config.roles import Roles
from lab.config.types import PositiveInt, Probability
from lab.nn.layers import Initialisation
from lab.training.optimization import Optimization

Precision = Literal["32-true", "bf16-mixed"]
Mode = Literal["min", "max"]

EPOCHS = 10
"""Length of a training for which none is given."""


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when a validation metric has not improved for `patience` epochs (Prechelt 1998).

    The weights of the best epoch are then evaluated and exported, not those of the last one. An epoch in which the
    metric is NaN is no improvement.

    Args:
        metric: any figure under `val/`.
        patience: epochs without improvement.
        mode: whether less (`min`) or more (`max`) is better.
    """

    metric: str = "val/loss"
    patience: PositiveInt = 5
    mode: Mode = "min"


@dataclass(frozen=True)
class KeepBest:
    """Evaluate and export the weights of the epoch with the best validation metric, not those of the last epoch.

    Args:
        metric: any figure under `val/`.
        mode: whether less (`min`) or more (`max`) is better.
    """

    metric: str = "val/loss"
    mode: Mode = "min"


@dataclass(frozen=True)
class EMA:
    """Exponential moving average of the weights (Polyak & Juditsky 1992; Yazici et al. 2019 for GANs).

    The averaged weights take the place of the trained ones in validation, evaluation, pictures and export.

    Args:
        decay: weight of the old average at each update. The first updates use (1 + n) / (10 + n) where that is less,
            so that the random initial weights are soon forgotten.
        every: optimizer steps between two updates.
    """

    decay: Probability = 0.999
    every: PositiveInt = 1


@dataclass(frozen=True)
class TrainerSettings(Optimization):
    """How to train: the optimization, for how long, and what is recorded. A step is one step of the optimizer.

    Args:
        max_epochs: passes over the training examples; null for no limit where `max_steps` is given, and for 10
            otherwise.
        max_steps: optimizer steps; null for no limit. With both, training ends at what comes first.
        accumulate: batches whose gradients are averaged into one optimizer step. The last step of an epoch takes
            what is left, divided by the same number.
        precision: of arithmetic in training; `bf16-mixed` pays on recent GPUs. Validation and evaluation are
            always in float32.
        initialisation: of the weights of linear and convolutional layers, but not of a pretrained encoder's: `xavier`
            for tanh, `kaiming` for ReLU, `lecun` for SELU, or `orthogonal` (`lab.nn.layers` has the papers); `default`
            leaves them as the model has them.
        unfreeze_every: epochs after which one more layer of the encoder learns, from the last to the first; before that
            they are as they were (gradual unfreezing, Howard & Ruder 2018, section 3.3). Statistics of batch norms
            follow the data all the time. Null: all learn from the start.
        early_stopping: null for none.
        keep_best: null evaluates the last weights, or those that early stopping found best.
        ema: null for no average of the weights.
        log_every: steps between two rows of training metrics.
        pictures_every: epochs between two sets of pictures, texts and sounds.
        pictures_every_steps: steps between two sets instead; when given, `pictures_every` is not used.
        statistics_every: steps between two rows of gradient and activation statistics; null for none.
    """

    roles: ClassVar[Roles] = Roles(
        budget={"max_epochs": "epochs", "max_steps": "steps"},
        stops=("early_stopping",),
        added={"accumulate": 1, "initialisation": "default", "unfreeze_every": None},
        indifferent=("log_every", "pictures_every", "pictures_every_steps", "statistics_every"),
    )

    max_epochs: PositiveInt | None = None
    max_steps: PositiveInt | None = None
    accumulate: PositiveInt = 1
    precision: Precision = "32-true"
    initialisation: Initialisation = "default"
    unfreeze_every: PositiveInt | None = None
    early_stopping: EarlyStopping | None = None
    keep_best: KeepBest | None = None
    ema: EMA | None = None
    log_every: PositiveInt = 50
    pictures_every: PositiveInt = 10
    pictures_every_steps: PositiveInt | None = None
    statistics_every: PositiveInt | None = None

    @property
    def best_by(self) -> KeepBest | None:
        """By which metric the judged weights are chosen; None for the last weights."""
        if self.keep_best or self.early_stopping is None:
            return self.keep_best
        return KeepBest(self.early_stopping.metric, self.early_stopping.mode)

    def length(self, batches: int, *, fast_dev_run: bool = False) -> Length:
        """Return how long to train on epochs of so many batches; a fast-dev run takes two batches at most."""
        if fast_dev_run:
            batches = min(2, batches)
        per_epoch = math.ceil(batches / self.accumulate)
        epochs = 1 if fast_dev_run else self.max_epochs or (None if self.max_steps else EPOCHS)
        limits = [epochs * per_epoch if epochs else None, self.max_steps]
        steps = min(limit for limit in limits if limit is not None)
        return Length(steps, math.ceil(steps / per_epoch), per_epoch)


@dataclass(frozen=True)
class Length:
    """How long a training is.

    Args:
        steps: optimizer steps in all.
        epochs: in all; the last one may be cut short.
        per_epoch: optimizer steps of one epoch.
    """

    steps: int
    epochs: int
    per_epoch: int
