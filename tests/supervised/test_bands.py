"""Bands cover what they promise, and their coverage is measured."""

from __future__ import annotations

import math

import pytest
import torch

from lab.data import Series
from lab.data.spec import DataSpec, InputSpec, Values
from supervised.forecasting import DLinear
from supervised.forecasting.bands import Bands
from supervised.forecasting.pictures import WINDOWS, drawn_forecasts

CPU = torch.device("cpu")


def test_errors_in_random_order_are_covered() -> None:
    """Whatever their distribution is, which differs by step and column here."""
    generator = torch.Generator().manual_seed(0)
    errors = torch.randn(4_000, 3, 2, generator=generator).abs() ** torch.arange(1, 4.0)[:, None]
    bands = Bands(3, 2, 0.8)
    assert not bands.fitted
    bands.fit(errors[:2_000])
    assert bands.fitted
    covered = (errors[2_000:] <= bands.margins).float().mean(0)
    assert torch.allclose(covered, torch.tensor(0.8), atol=0.03)


def test_margins_are_ranked_errors() -> None:
    """The ceil((n + 1) * share)-th, which is the largest one where there are too few."""
    errors = torch.arange(1.0, 20)[torch.randperm(19)][:, None, None]
    for share, margin in ((0.5, 10), (0.9, 18), (0.95, 19), (0.99, 19)):
        bands = Bands(1, 1, share)
        bands.fit(errors)
        assert bands.margins.item() == margin


def prepared(**settings: object) -> tuple[Series, DLinear]:
    series = Series(name="days", past=10, test_size=365, **settings)  # type: ignore[arg-type]
    series.prepare()
    model = DLinear(series.spec, log=True, coverage=0.9)
    model.adapt(series)
    return series, model


@pytest.mark.parametrize("val_size", [365, 0])
def test_coverage_is_measured_once_margins_are_known(val_size: int) -> None:
    series, model = prepared(val_size=val_size)
    assert "coverage" not in model.metrics(), "validation during training has none"
    model.settle(series)
    (batch,) = series.test(CPU)
    x, y = batch
    metrics = model.metrics()
    with torch.no_grad():
        model.measure(batch, metrics)
        low, high = model.band(model(x))
    inside = ((low <= y) & (y <= high)).float().mean()
    assert float(metrics["coverage"].compute()) == pytest.approx(float(inside))
    assert float(metrics["band_width"].compute()) == pytest.approx(float((high - low).mean()), rel=1e-5)
    assert 0.8 < inside < 0.97
    held_out = torch.cat([y for _, y in (series.validation(CPU) or series.unchanged(CPU))])
    assert len(held_out) == (val_size or 3_650 - 365 - 10)


def test_bands_of_logs_are_factors() -> None:
    series, model = prepared(val_size=365)
    model.settle(series)
    low, high = model.band(torch.tensor([[[5.0]], [[50.0]]]))
    factor = model.bands.margins.exp().item()
    assert torch.allclose(high.flatten(), torch.tensor([5.0, 50.0]) * factor)
    assert torch.allclose(low.flatten(), torch.tensor([5.0, 50.0]) / factor)
    again = DLinear(series.spec, log=True)
    assert math.isinf(again.bands.margins.item())
    again.load_state_dict(model.state_dict())
    assert again.bands.margins.item() == model.bands.margins.item(), "they are saved with the weights"


@pytest.mark.parametrize(("count", "horizon"), [(9, 1), (9, 3), (1, 4)])
def test_bands_are_drawn(count: int, horizon: int) -> None:
    """Also of a test that is hardly longer than the steps ahead."""
    steps = torch.randn(count + horizon - 1, 2)
    came = steps.unfold(0, horizon, 1).transpose(1, 2)
    drawn = drawn_forecasts(came + 0.1, came, (came - 1, came + 1), [*map(str, range(len(steps)))], ("a", "b"))
    assert set(drawn) == ({"forecast"} if horizon == 1 else {"forecast", "windows"})
    assert WINDOWS > 1
    assert all(picture.width > 100 for picture in drawn.values())


def test_unknown_margins_cover_all() -> None:
    model = DLinear(DataSpec(InputSpec((8, 1)), Values((1, 1), ("a",))))
    low, high = model.band(torch.zeros(2, 1, 1))
    assert bool((low == -math.inf).all() and (high == math.inf).all())
