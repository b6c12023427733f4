"""Tables: rows of numbers with a class each, in folds. Those of the digits are small pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lab.config.roles import Roles
from lab.config.types import DataPath, NonNegativeInt, PositiveInt, Probability
from lab.console.wording import shown
from lab.data.base import Batches, DataModule
from lab.data.batches import TensorBatches
from lab.data.files.csv import Sheet
from lab.data.obtain import STAND_IN, obtain, own, require_known
from lab.data.own.columns import Columns, of_numbers
from lab.data.own.found import found_columns
from lab.data.own.labels import classes_of, copies_of, groups_of
from lab.data.own.sheets import read_sheet
from lab.data.sets.folds import Parts, require_fold, split
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.errors import ConfigError, DataError


class Rows(NamedTuple):
    """What a loader returns: `(N, F)` float32, the classes `(N,)` int64, their names, a hash of all that, and the names
    of the columns; or `(N, C, H, W)` in [0, 1] and no columns, where the rows are pictures."""

    values: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    sha256: str
    columns: tuple[str, ...] = ()


class Part(NamedTuple):
    """Some of the rows, `(n, F)` or `(n, C, H, W)`, and their classes, `(n,)`."""

    values: Tensor
    labels: Tensor


class Table(DataModule):
    """Rows of numbers with a class each, in the units of the table. A model that wants them scaled does so itself.

    The rows are shuffled and cut into folds that have the classes in equal shares, as scikit-learn's StratifiedKFold
    does with random_state 0. One fold is the test split. `lab run NAME --vary data.fold=0-9` tests each row once.

    A table of the user's own is a csv file with a header. Its columns are numbers or categories, which become a number
    each, 1 or 0. Where values are missing, `lab.data.own.columns` says how they are filled. Rows that are identical, or
    with `group` those of one group, are in the same part, as scikit-learn's StratifiedGroupKFold cuts them.

    Args:
        name: `cancer`, or `digits`: pictures of 8x8 pixels in [0, 1], as they are.
        fallback: data set to use where `name` cannot be downloaded; `stand-in` is the one that its entry in the catalog
            names, and `none` makes that an error.
        fold: number of the fold that is the test split, from 0.
        folds: number of folds.
        val_size: share of the other folds that is held out for validation, with the classes in equal shares.
        batch_size: rows per training batch; the last one of an epoch may be smaller.
        eval_batch_size: rows per validation and test batch.
        path: of the user's own csv file; null for the data set of `name`.
        target: column of that file with the classes; null for the last one.
        group: column of that file whose rows with the same text stay in one part of the split, such as a patient; null
            for none.
    """

    roles = Roles(added={"path": None, "target": None, "group": None})

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
        path: DataPath | None = None,
        target: str | None = None,
        group: str | None = None,
    ) -> None:
        require_known(name, fallback, LOADERS)
        require_fold(fold, folds)
        self.name, self.fallback, self.fold, self.folds = name, fallback, fold, folds
        self.val_size, self.batch_size, self.eval_batch_size = val_size, batch_size, eval_batch_size
        self.path, self.target, self.group = path, target, group
        for setting, column in (("target", target), ("group", group)):
            if column is not None and path is None:
                raise ConfigError(f"data.{setting} names a column of the file data.path, but there is no data.path")

    def prepare(self) -> None:
        reader: Columns | None
        if self.path:
            sheet, self.info = own(self.path, read_sheet)
            values, labels, classes, reader, parts = self._own(sheet)
        else:
            rows, self.info = obtain(self.name, self.fallback, LOADERS)
            values, labels, classes = rows.values, rows.labels, rows.classes
            parts = self._split(labels, classes)
            reader = of_numbers(rows.columns, values[parts[0]]) if rows.columns else None
        self._train, self._validation, self._test = (Part(values[i], labels[i]) for i in parts)
        self.spec = DataSpec(InputSpec(tuple(values.shape[1:])), Classes(len(classes), classes), reader=reader)

    def _own(self, sheet: Sheet) -> tuple[Tensor, Tensor, tuple[str, ...], Columns, Parts]:
        """Return the rows `(N, F)` of the user's own table, their classes `(N,)`, the names of the classes, the columns
        and the split."""
        if len(sheet.names) == 1:
            raise DataError(
                f"{sheet.file} has one column, {shown(sheet.names[0])!r}; expected several, with commas, semicolons or "
                "tabs between the cells"
            )
        target = sheet.names[-1] if self.target is None else self.target
        labels, classes = classes_of(sheet, target)
        groups = groups_of(sheet, self.group, target) if self.group is not None else None
        columns, self.notes = found_columns(sheet, [target, *([self.group] if self.group is not None else [])])
        if groups is None and (groups := copies_of(sheet, [one.name for one in columns.columns])) is not None:
            copies = len(groups) - int(groups.max()) - 1
            self.notes.append(
                f"rows of {sheet.file} with the same inputs stay in one part of the split: {copies:,} of "
                f"{len(groups):,} repeat another"
            )
        parts = self._split(labels, classes, groups)
        columns, constant = columns.fitted(sheet, parts[0].tolist())
        self.notes += constant
        return columns.encode(sheet), labels, classes, columns, parts

    def _split(self, labels: Tensor, classes: Sequence[str], groups: Tensor | None = None) -> Parts:
        counts = labels.bincount()
        fewest = int(counts.min())
        if self.folds > fewest:
            rarest = classes[int(counts.argmin())]
            raise ConfigError(
                f"data.folds must be at most {fewest}, the rows of the rarest class, {rarest}, so that each fold has "
                f"one; received {self.folds}"
            )
        return split(labels, self.fold, self.folds, self.val_size, groups)

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


def load_cancer() -> Rows:
    """The Wisconsin diagnostic breast cancer data: class 0 is malignant (212 rows), class 1 benign (357)."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    digest = hashlib.sha256(bunch.data.astype("<f8").tobytes() + bunch.target.astype("u1").tobytes())
    values, labels = torch.from_numpy(bunch.data).float(), torch.from_numpy(bunch.target).long()
    return Rows(
        values, labels, tuple(map(str, bunch.target_names)), digest.hexdigest(), tuple(map(str, bunch.feature_names))
    )


def load_digits() -> Rows:
    """scikit-learn's digits: 1,797 pictures of 8x8 pixels with 17 greys, about 180 of each digit."""
    from sklearn.datasets import load_digits as sklearn_digits

    bunch = sklearn_digits()
    digest = hashlib.sha256(bunch.images.astype("u1").tobytes() + bunch.target.astype("u1").tobytes())
    pixels, labels = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16, torch.from_numpy(bunch.target).long()
    return Rows(pixels, labels, tuple(map(str, bunch.target_names)), digest.hexdigest())


LOADERS: dict[str, Callable[[], Rows]] = {"cancer": load_cancer, "digits": load_digits}


def _batches(
    part: Part, device: torch.device, batch_size: int, seed: int | None = None, *, drop_last: bool = False
) -> Batches:
    return TensorBatches(*part, device=device, batch_size=batch_size, seed=seed, drop_last=drop_last)
