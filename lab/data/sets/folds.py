"""Cuts rows into folds with the classes in equal shares. Rows of one group stay together."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab.errors import ConfigError

PARTITION = 0
"""Seed of the folds. It is the same in every run, so that the folds of all runs are."""

Parts = tuple[Tensor, Tensor, Tensor]
"""Numbers of the rows to train on, to validate on and to test on."""


def require_fold(fold: int, folds: int) -> None:
    """Raise ConfigError where there is no fold of this number, or only one fold."""
    if folds < 2:
        raise ConfigError(f"data.folds must be at least 2, received {folds}")
    if fold >= folds:
        raise ConfigError(f"data.fold must be from 0 to {folds - 1}, received {fold}")


def split(labels: Tensor, fold: int, folds: int, val_size: float, groups: Tensor | None = None) -> Parts:
    """Return the numbers of the rows of each part, in the order of the table.

    Args:
        labels: `(N,)`, int64.
        fold: that is tested.
        folds: into which the rows are cut.
        val_size: share of the rows of the other folds that is validated on; each class has that share, rounded. With
            groups, the share is the nearest of 1/2, 1/3, 1/4 and so on, and holds roughly.
        groups: `(N,)`, int64, of rows that stay in one part; None where each row is for itself.

    Raises ConfigError where a part would lack a class that it needs.
    """
    from sklearn.model_selection import StratifiedKFold, train_test_split

    classes = labels.numpy()
    if groups is not None:
        rest, held_out, test = _grouped(classes, groups.numpy(), fold, folds, val_size)
    else:
        partition = StratifiedKFold(folds, shuffle=True, random_state=PARTITION).split(classes, classes)
        rest, test = list(partition)[fold]
        held_out = rest[:0]
        if val_size:
            try:
                rest, held_out = train_test_split(rest, test_size=val_size, stratify=classes[rest], random_state=fold)
            except ValueError as error:  # fewer rows than classes on one side
                raise ConfigError(
                    f"data.val_size must leave a row of each class to validate and one to train on, but is "
                    f"{val_size:g} of {len(rest)} rows with {len(set(classes))} classes; 0 holds none out"
                ) from error
    train, validation, test = (torch.from_numpy(part).sort().values for part in (rest, held_out, test))
    return train, validation, test


def _grouped(classes: Any, groups: Any, fold: int, folds: int, val_size: float) -> tuple[Any, Any, Any]:
    """Return the same parts, unsorted, in which groups are whole."""
    rest, test = _cut(classes, groups, np.arange(len(classes)), fold, folds, f"data.folds is {folds}")
    if not val_size:
        return rest, rest[:0], test
    parts = max(2, round(1 / val_size))
    train, validation = _cut(
        classes, groups, rest, 0, parts, f"data.val_size of {val_size:g} cuts the rest into {parts} parts"
    )
    return train, validation, test


def _cut(classes: Any, groups: Any, rows: Any, fold: int, folds: int, asked: str) -> tuple[Any, Any]:
    """Cut some rows into folds; return the rows outside of one, and those in it."""
    from sklearn.model_selection import StratifiedGroupKFold

    for number in np.unique(classes):
        there = len(np.unique(groups[rows][classes[rows] == number]))
        if there < folds:
            raise ConfigError(
                f"{asked}, but only {there} of the groups of rows that stay in one part have the rarest class"
            )
    partition = StratifiedGroupKFold(folds, shuffle=True, random_state=PARTITION)
    rest, held_out = list(partition.split(rows, classes[rows], groups[rows]))[fold]
    if not len(held_out) or len(np.unique(classes[rows[rest]])) < len(np.unique(classes)):
        raise ConfigError(
            f"the groups of rows that stay in one part are too uneven for {folds} folds: fold {fold} leaves a class "
            "without rows to train on, or has none itself; try fewer data.folds, or another data.fold"
        )
    return rows[rest], rows[held_out]
