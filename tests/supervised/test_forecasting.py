"""Forecasts learn, are in the unit of the data, and stand beside baselines that are computed right."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

import lab
from lab.data import Series, Table
from lab.data.loader import as_batches
from lab.data.spec import DataSpec, Values
from lab.encoders import InputSpec, Recurrent
from lab.errors import ConfigError
from lab.nn.losses import RegressionLoss
from supervised.forecasting import DLinear, Forecaster
from supervised.forecasting.baselines import least_squares
from supervised.forecasting.dlinear import moving_average

CPU = torch.device("cpu")
GRU = partial(Recurrent, cell="gru", width=4)


def data(**settings: Any) -> Series:
    series = Series(**{"name": "seasonal", "past": 26, "val_size": 0, **settings})
    series.prepare()
    return series


def test_dlinear_beats_persistence() -> None:
    run = lab.run(
        "forecast-airline",
        {"data.name": "seasonal", "trainer.max_steps": 90, "trainer.optimizer.lr": 0.03},
        runs_dir="runs",
    )
    assert (run.metrics["test/rmse"] or 0) < 0.5 * run.baselines["persistence"]["test/rmse"]
    (picture,) = (run.dir / "media").iterdir()
    assert picture.name.startswith("forecast-")
    assert run.verdict == "none"
    assert run.target["verdict"] == "not-comparable"
    assert lab.evaluate(run.dir).metrics == run.metrics


@pytest.mark.parametrize(("lags", "log"), [((), False), ((12, 1), True)])
def test_first_forecast_is_the_mean_change(lags: tuple[int, ...], log: bool) -> None:
    """The last layer begins with zeros, so that training can only improve on what the differences say."""
    series = data(horizon=3)
    model = Forecaster(series.spec, encoder=GRU, lags=lags, log=log)
    model.adapt(series)
    ((x, _),) = series.test(CPU)
    changes = model.scaling.standardize.mean.expand(len(x), 3, 1)
    assert torch.allclose(model(x), model.scaling.integrate(changes, x))
    if not lags:
        assert torch.allclose(model(x), series.training_part.mean().expand(len(x), 3, 1))


def test_file_names_columns_and_no_classes() -> None:
    told = DLinear(data().spec).metadata()
    assert told["columns"] == ["generated"]
    assert "classes" not in told


def test_loss_is_of_standardized_changes() -> None:
    """Without lags and logarithm that is the error in deviations of the training part, as papers report it."""
    series = data(name="hours", horizon=2, test_size=50)
    model = DLinear(series.spec)
    model.adapt(series)
    (batch,) = series.test(CPU)
    x, y = batch
    metrics = model.metrics()
    with torch.no_grad():
        loss = model.measure(batch, metrics)["loss"]
        error = model(x) - y
    assert float(metrics["scaled_mse"].compute()) == pytest.approx(float(loss), rel=1e-4)
    assert float(metrics["rmse"].compute()) == pytest.approx(float(error.square().mean().sqrt()), rel=1e-4)
    scaled = error / series.training_part.std(0, correction=0)
    assert float(metrics["scaled_mae"].compute()) == pytest.approx(float(scaled.abs().mean()), rel=1e-4)


def test_a_quantile_has_its_share_below_it() -> None:
    series = data(name="hours", horizon=2, test_size=50, batch_size=256)
    model = DLinear(series.spec, loss=RegressionLoss("quantile", level=0.8))
    model.adapt(series)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    batches = as_batches(series.unchanged(CPU), CPU)
    for _ in range(8):
        for batch in batches:
            optimizer.zero_grad()
            model.losses(batch)["loss"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    with torch.no_grad():
        below = torch.cat([y < model(x) for x, y in batches]).float().mean().item()
    assert below == pytest.approx(0.8, abs=0.05)


def test_columns_keep_to_themselves() -> None:
    model = DLinear(DataSpec(InputSpec((8, 3)), Values((2, 3), ("a", "b", "c"))), kernel=3)
    x = torch.randn(4, 8, 3)
    changed = x.clone()
    changed[..., 1] += 1
    same = (model(changed) == model(x)).all(0).all(0)
    assert same.tolist() == [True, False, True]


@pytest.mark.parametrize("patch", [1, 3])
def test_separate_columns_are_read_alone(patch: int) -> None:
    """Together they are forecast as each of them is in a batch of its own. The earliest changes fill no patch."""
    model = Forecaster(DataSpec(InputSpec((8, 4)), Values((2, 3))), encoder=GRU, patch=patch, separate=True)
    torch.nn.init.normal_(model.head.weight)
    alone = Forecaster(DataSpec(InputSpec((8, 2)), Values((2, 1))), encoder=GRU, patch=patch)
    states = {name: value for name, value in model.state_dict().items() if name.startswith(("encoder", "head"))}
    alone.load_state_dict(states, strict=False)
    x = torch.randn(4, 8, 4)
    each = [alone(x[..., [column, 3]]) for column in range(3)]
    assert torch.allclose(model(x), torch.cat(each, 2), atol=1e-6)
    earlier = x.clone()
    earlier[:, :2] += 1
    assert torch.equal(model(earlier), model(x)) == (patch == 3)


def test_dlinear_sees_the_time_of_the_year() -> None:
    model = DLinear(DataSpec(InputSpec((8, 5)), Values((2, 3), ("a", "b", "c"))), kernel=3)
    x = torch.randn(4, 8, 5)
    assert model.also is not None
    moved = x.clone()
    moved[:, -1, 3:] += 1
    moved[:, :-1, 3:] = 0
    push = model.also(torch.ones(2)).view(2, 3)
    assert torch.allclose(model(moved) - model(x), push.expand(4, 2, 3), atol=1e-5)


def test_moving_average_by_hand() -> None:
    x = torch.tensor([[[0.0, 3.0, 6.0, 3.0]]])
    assert moving_average(x, 3).flatten().tolist() == [1, 3, 4, 4]
    assert moving_average(x, 25).shape == x.shape


def test_baselines_by_hand() -> None:
    series = data()
    x, when = series.values[:, 0].double(), torch.arange(96, 144)
    logs = x.log()
    found = DLinear(series.spec, log=True).baselines(series)

    def rmse(forecast: Tensor) -> float:
        return float((forecast - x[when]).square().mean().sqrt())

    assert found["persistence"]["test/rmse"] == pytest.approx(rmse(x[when - 1]), rel=1e-5)
    drift = (logs[when - 12] + logs[when - 1] - logs[when - 13]).exp()
    assert found["seasonal naive with drift on logs"]["test/rmse"] == pytest.approx(rmse(drift), rel=1e-5)
    design = torch.stack([*(logs[13 - k : 96 - k] for k in range(1, 14)), torch.ones(83)], 1)
    weights = torch.linalg.pinv(design) @ logs[13:96]
    ahead = torch.stack([*(logs[when - k] for k in range(1, 14)), torch.ones(48)], 1) @ weights
    assert found["AR(13) on logs"]["test/rmse"] == pytest.approx(rmse(ahead.exp()), rel=1e-4)
    assert found["seasonal naive"]["test/rmse"] == pytest.approx(rmse(x[when - 12]), rel=1e-5)


def test_baselines_look_back_beyond_the_model() -> None:
    series = data(name="days", past=3, yearly=1, test_size=365)
    found = DLinear(series.spec).baselines(series)
    assert found["seasonal naive"]["test/rmse"] > found["persistence"]["test/rmse"]
    assert found["AR(3) with the time of the year"]["test/rmse"] < found["AR(3)"]["test/rmse"]


def test_autoregression_finds_its_weights() -> None:
    series = torch.ones(50, 1, dtype=torch.float64)
    for t in range(2, 50):
        series[t] = 0.5 * series[t - 1] - 0.9 * series[t - 2] + 2
    assert torch.allclose(least_squares(series, 2).flatten(), torch.tensor([-0.9, 0.5, 2.0]).double())
    pushes = torch.sin(torch.arange(50.0)).double()[:, None]
    for t in range(2, 50):
        series[t] = 0.5 * series[t - 1] - 0.9 * series[t - 2] + 3 * pushes[t - 1] + 2
    assert torch.allclose(least_squares(series, 2, pushes).flatten(), torch.tensor([-0.9, 0.5, 3, 2.0]).double())


def test_predictions_are_numbers() -> None:
    series = data()
    model = Forecaster(series.spec, encoder=GRU, lags=(12, 1), log=True)
    model.adapt(series)
    ((x, _),) = series.test(CPU)
    assert [one.value for one in model.predict(x)] == model.eval()(x).flatten().tolist()
    two = DLinear(DataSpec(InputSpec((8, 2)), Values((3, 2), ("a", "b"))))
    assert [len(one.value) for one in two.predict(torch.randn(4, 8, 2)) if isinstance(one.value, list)] == [6] * 4


def test_what_cannot_be_forecast_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.past must be more than 13, the sum of model\.lags, received 13"):
        DLinear(data(past=13).spec, lags=(12, 1))
    with pytest.raises(ConfigError, match=r"model\.patch must be at most 26, .* received 27"):
        Forecaster(data().spec, encoder=GRU, patch=27)
    with pytest.raises(ConfigError, match=r"model\.kernel must be odd, .* received 4"):
        DLinear(data().spec, kernel=4)
    with pytest.raises(ConfigError, match=r"needs a series, lab\.data\.Series, received Table"):
        DLinear(data().spec).adapt(Table())
    with pytest.raises(ConfigError, match=r"needs steps .* to predict, but the data has other targets"):
        DLinear(DataSpec(InputSpec((8, 2)), Values((2,))))
