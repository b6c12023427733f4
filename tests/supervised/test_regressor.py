"""Regression learns numbers, and shows which steps of a sequence they depend on."""

from __future__ import annotations

from functools import partial

import pytest
import torch

import lab
from lab.data import Adding
from lab.data.batch import Batch
from lab.data.generated.adding import sums
from lab.data.spec import Classes, DataSpec, InputSpec, Values
from lab.encoders import MLP, Recurrent
from lab.errors import ConfigError
from supervised.regressor import Regressor


def test_totals_are_of_the_marked_numbers() -> None:
    made = sums(100, 11, seed=0)
    assert (made.steps[..., 1].sum(1) == 2).all()
    assert (made.steps[:, :5, 1].sum(1) == 1).all(), "one in each half"
    marked = made.steps[..., 0][made.steps[..., 1] == 1].view(100, 2)
    assert torch.allclose(marked.sum(1), made.totals)
    assert made.totals.var().item() == pytest.approx(1 / 6, abs=0.05)


def test_splits_differ_and_runs_agree() -> None:
    first, again = (Adding(length=6, train_size=10, val_size=0, test_size=10) for _ in range(2))
    for data in (first, again):
        data.prepare()
    assert first.info == again.info
    assert not torch.equal(first.parts[0][0], first.parts[2][0])
    assert first.validation(torch.device("cpu")) is None
    with pytest.raises(ConfigError, match=r"data\.length must be at least 2"):
        Adding(length=1)


def test_short_sums_are_learnt() -> None:
    settings = {"data.length": 6, "data.train_size": 2_000, "data.test_size": 200, "trainer.max_steps": 300}
    run = lab.run("gru-adding", settings | {"model.encoder.width": 16, "threads": 1}, runs_dir="runs")
    assert (run.metrics["test/mse"] or 1) < 0.5 * run.baselines["the mean"]["test/mse"]
    assert sorted(path.stem[:5] for path in (run.dir / "media").glob("*.png")) == ["gradi", "predi"]


def test_gradients_vanish_where_a_step_is_forgotten() -> None:
    torch.manual_seed(0)
    model = Regressor(DataSpec(InputSpec((30, 2)), Values(())), encoder=partial(Recurrent, cell="rnn", width=8))
    with torch.no_grad():
        for name, parameter in model.encoder.named_parameters():
            if "weight_hh" in name:
                parameter.mul_(0.3)  # of an orthogonal matrix
    slopes = model.slopes(Batch(torch.rand(16, 30, 2), torch.rand(16)))
    assert slopes.shape == (30,)
    assert slopes[0] < 1e-8 * slopes[-1]


def test_other_targets_are_refused() -> None:
    with pytest.raises(ConfigError, match="one number for each example"):
        Regressor(DataSpec(InputSpec((4,)), Classes(3)), encoder=MLP)
