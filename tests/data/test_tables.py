"""Tables are cut into folds that do not overlap, in which the classes have equal shares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from lab.data import Table
from lab.data.sets.folds import split
from lab.data.spec import Classes, InputSpec
from lab.errors import ConfigError

CPU = torch.device("cpu")


def labels() -> Tensor:
    return torch.tensor([0, 1, 1] * 20)


def test_each_row_is_tested_once() -> None:
    parts = [split(labels(), fold, 5, 0.25) for fold in range(5)]
    assert torch.equal(torch.cat([test for _, _, test in parts]).sort().values, torch.arange(60))
    for part in parts:
        assert torch.equal(torch.cat(part).sort().values, torch.arange(60))


def test_classes_have_equal_shares() -> None:
    for part in split(labels(), 2, 5, 0.25):
        assert labels()[part].float().mean() == pytest.approx(2 / 3)


def test_folds_are_those_of_scikit_learn() -> None:
    bunch = load_breast_cancer()
    data = Table(fold=3)
    data.prepare()
    (batch,) = data.test(CPU)
    rest, test = list(StratifiedKFold(10, shuffle=True, random_state=0).split(bunch.data, bunch.target))[3]
    assert isinstance(batch.inputs, Tensor)
    assert np.array_equal(batch.inputs.numpy(), bunch.data[test].astype(np.float32))
    held_out = data.validation(CPU)
    assert held_out is not None
    assert sum(map(len, data.train(CPU, 0))) + sum(map(len, held_out)) == len(rest)


def test_cancer_has_named_classes() -> None:
    data = Table()
    data.prepare()
    assert data.spec.input == InputSpec((30,))
    assert data.spec.target == Classes(2, ("malignant", "benign"))
    (_, validated), (_, tested) = (next(iter(one)) for one in (data.validation(CPU) or (), data.test(CPU)))
    trained = torch.cat([y for _, y in data.train(CPU, 0)])
    assert sum(int((y == 0).sum()) for y in (trained, validated, tested)) == 212


def test_digits_are_pictures_in_folds() -> None:
    data = Table(name="digits", fold=2, folds=5)
    data.prepare()
    bunch = load_digits()
    _, test = list(StratifiedKFold(5, shuffle=True, random_state=0).split(bunch.data, bunch.target))[2]
    (batch,) = data.test(CPU)
    assert isinstance(batch.inputs, Tensor)
    assert np.array_equal(batch.inputs[:, 0].numpy() * 16, bunch.images[test])
    assert data.spec.input == InputSpec((1, 8, 8))
    assert data.spec.target == Classes(10, tuple("0123456789"))
    assert data.spec.reader is None, "pictures are read by their spec"


def test_training_takes_every_row() -> None:
    """But no batch has a single row, which batch norm could not take."""
    for size, last in ((32, 409 % 32), (408, 408)):
        data = Table(batch_size=size, val_size=0.2)
        data.prepare()
        sizes = [len(batch) for batch in data.train(CPU, 0)]
        assert sizes[-1] == last
        assert min(sizes) > 1


def test_impossible_folds_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.fold must be from 0 to 9, received 10"):
        Table(fold=10)
    with pytest.raises(ConfigError, match=r"data\.folds must be at least 2, received 1"):
        Table(folds=1)
    with pytest.raises(ConfigError, match=r"data\.folds must be at most 212, .* received 300"):
        Table(folds=300).prepare()
    with pytest.raises(
        ConfigError, match=r"data\.name must be one of cancer, digits, received 'cancr'; did you mean 'cancer'"
    ):
        Table(name="cancr")
