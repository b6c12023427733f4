"""Scaling and differencing standardise what they were fitted to, and can be undone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lab.errors import DataError
from lab.nn.differencing import Differencing
from lab.nn.scaling import Standardize


def series(length: int = 60, columns: int = 2) -> Tensor:
    """Positive steps that grow."""
    generator = torch.Generator().manual_seed(0)
    return (0.05 * torch.randn(length, columns, generator=generator, dtype=torch.float64)).cumsum(0).exp() + 1


def test_standardized_columns() -> None:
    x = torch.randn(200, 3) * torch.tensor([1.0, 50.0, 0.0]) + torch.tensor([0.0, 7.0, 4.0])
    scale = Standardize(3)
    scale.fit(x)
    z = scale(x)
    assert torch.allclose(z.mean(0), torch.zeros(3), atol=1e-5)
    assert torch.allclose(z.std(0, correction=0), torch.tensor([1.0, 1.0, 0.0]), atol=1e-5)
    assert torch.allclose(scale.inverse(z), x, atol=1e-4)
    again = Standardize(3)
    again.load_state_dict(scale.state_dict())
    assert torch.equal(again(x), z)


@pytest.mark.parametrize("lags", [(), (1,), (12,), (12, 1), (1, 1)])
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("horizon", [1, 15])
def test_changes_can_be_undone(lags: tuple[int, ...], log: bool, horizon: int) -> None:
    x = series()
    change = Differencing(2, lags=lags, log=log).double()
    change.fit(x)
    z = change(x[None])
    assert z.shape == (1, 60 - sum(lags), 2)
    assert torch.allclose(z[0].mean(0), torch.zeros(2).double(), atol=1e-6)
    back = change.inverse(z[:, -horizon:], x[None, :-horizon])
    assert torch.allclose(back[0], x[-horizon:])


def test_a_difference_by_hand() -> None:
    x = torch.tensor([1.0, 2.0, 4.0, 8.0])[None, :, None]
    assert Differencing(1, lags=(1,))(x).flatten().tolist() == [1, 2, 4]
    assert Differencing(1, lags=(1, 2))(x).flatten().tolist() == [3]
    assert torch.allclose(Differencing(1, lags=(2,), log=True)(x).flatten(), torch.tensor(4.0).log())


def test_impossible_series_are_refused() -> None:
    with pytest.raises(DataError, match="need more than 13 steps, received 13"):
        Differencing(2, lags=(12, 1)).fit(series(13))
    with pytest.raises(DataError, match="steps above 0, but the least is -1"):
        Differencing(2, log=True).fit(-torch.ones(5, 2))
