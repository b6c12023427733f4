"""Tables: rows of numbers with a class each, in folds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lab.config.types import NonNegativeInt, PositiveInt, Probability
from lab.data.base import Batches, DataModule
from lab.data.batches import TensorBatches
from lab.data.obtain import STAND_IN, obtain, require_known
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.errors import ConfigError

PARTITION = 0
"""Seed of the folds. It is the same in every run, so that the folds of all runs are."""


class Rows(NamedTuple):
    """What a loader returns: `(N, F)` float32, the classes `(N,)` int64, their names, and a hash of all that."""

    values: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    sha256: str


class Part(NamedTuple):
    """Some of the rows, `(n, F)`, and their classes, `(n,)`."""

    values: Tensor
    labels: Tensor


class Table(DataModule):
    """Rows of numbers with a class each, in the units of the table. A model that wants them scaled does so itself.

    The rows are shuffled and cut into folds that have the classes in equal shares, as scikit-learn's StratifiedKFold
    does with random_state 0. One fold is the test split. `lab run NAME --vary data.fold=0-9` tests each row once.

    Args:
        name: `cancer`.
        fallback: data set to use where `name` cannot be downloaded; `stand-in` is the one that its entry in the catalog
            names, and `none` makes that an error.
        fold: number of the fold that is the test split, from 0.
        folds: number of folds.
        val_size: share of the other folds that is held out for validation, with the classes in equal shares.
        batch_size: rows per training batch; the last one of an epoch may be smaller.
        eval_batch_size: rows per validation and test batch.
    """

    def __init__(
        self,
        *,
        name: str = "cancer",
        fallback: str = STAND_IN,
        fold: NonNegativeInt = 0,
        folds: PositiveInt = 10,
        val_size: Probability = 0.2,
        batch_size: PositiveInt = 32,
        eval_batch_size: PositiveInt = 1_000,
    ) -> None:
        require_known(name, fallback, LOADERS)
        if folds < 2:
            raise ConfigError(f"data.folds must be at least 2, received {folds}")
        if fold >= folds:
            raise ConfigError(f"data.fold must be from 0 to {folds - 1}, received {fold}")
        self.name, self.fallback, self.fold, self.folds = name, fallback, fold, folds
        self.val_size, self.batch_size, self.eval_batch_size = val_size, batch_size, eval_batch_size

    def prepare(self) -> None:
        rows, self.info = obtain(self.name, self.fallback, LOADERS)
        fewest = int(rows.labels.bincount().min())
        if self.folds > fewest:
            raise ConfigError(
                f"data.folds must be at most {fewest}, the rows of the rarest class, so that each fold has one; "
                f"received {self.folds}"
            )
        parts = split(rows.labels, self.fold, self.folds, self.val_size)
        self._train, self._validation, self._test = (Part(rows.values[i], rows.labels[i]) for i in parts)
        self.spec = DataSpec(InputSpec((rows.values.shape[1],)), Classes(len(rows.classes), rows.classes))

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        size = batch_size or self.batch_size
        single = len(self._train.labels) % size == 1  # batch norm cannot take one row
        return _batches(self._train, device, size, seed, drop_last=single)

    def validation(self, device: torch.device) -> Batches | None:
        if not len(self._validation.labels):
            return None
        return _batches(self._validation, device, self.eval_batch_size)

    def test(self, device: torch.device) -> Batches:
        return _batches(self._test, device, self.eval_batch_size)


def split(labels: Tensor, fold: int, folds: int, val_size: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the indices of the rows to train on, to validate on and to test on, each in the order of the table.

    Args:
        labels: `(N,)`, int64.
        fold: that is tested.
        folds: into which the rows are cut.
        val_size: share of the rows of the other folds that is validated on; each class has that share, rounded.
    """
    from sklearn.model_selection import StratifiedKFold, train_test_split

    classes = labels.numpy()
    partition = StratifiedKFold(folds, shuffle=True, random_state=PARTITION).split(classes, classes)
    rest, test = list(partition)[fold]
    held_out = rest[:0]
    if val_size:
        rest, held_out = train_test_split(rest, test_size=val_size, stratify=classes[rest], random_state=fold)
    train, validation, test = (torch.from_numpy(part).sort().values for part in (rest, held_out, test))
    return train, validation, test


def load_cancer() -> Rows:
    """The Wisconsin diagnostic breast cancer data: class 0 is malignant (212 rows), class 1 benign (357)."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    digest = hashlib.sha256(bunch.data.astype("<f8").tobytes() + bunch.target.astype("u1").tobytes())
    values, labels = torch.from_numpy(bunch.data).float(), torch.from_numpy(bunch.target).long()
    return Rows(values, labels, tuple(str(name) for name in bunch.target_names), digest.hexdigest())


LOADERS: dict[str, Callable[[], Rows]] = {"cancer": load_cancer}


def _batches(
    part: Part, device: torch.device, batch_size: int, seed: int | None = None, *, drop_last: bool = False
) -> Batches:
    return TensorBatches(*part, device=device, batch_size=batch_size, seed=seed, drop_last=drop_last)
