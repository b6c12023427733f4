"""Convolutions over words: what filters see, and that padding does not matter."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from lab.encoders import InputSpec, TextConv
from lab.encoders.contract import build_encoder
from lab.encoders.files import load_encoder, save_encoder
from lab.errors import ConfigError

SPEC = InputSpec((9,), "int64", vocab=7)


def encoder(**settings: object) -> TextConv:
    torch.manual_seed(0)
    return TextConv(SPEC, **{"embedding": 5, "filters": 3, "widths": (1, 2, 4)} | settings).eval()  # type: ignore[arg-type]


def test_filters_see_neighbours() -> None:
    """A filter of width 2 sees a token and the one after it; its maximum over time is the feature."""
    network = encoder(widths=(2,))
    x = torch.tensor([[3, 1, 6]])
    vectors = torch.cat([network.embedding(x)[0], torch.zeros(1, 5)])  # (4, 5)
    weight, bias = network.convolutions[0].parameters()
    seen = torch.stack([(weight * vectors[t : t + 2].T).sum((1, 2)) + bias for t in range(3)]).relu()
    assert torch.allclose(network.features(x)[0], seen, atol=1e-6)
    assert torch.allclose(network(x)[0], seen.amax(0), atol=1e-6)


@pytest.mark.parametrize("pool", ["max", "mean"])
@pytest.mark.parametrize("length", range(1, 10))
def test_padding_changes_nothing(length: int, pool: str) -> None:
    """Texts that are shorter than a filter too."""
    network = encoder(pool=pool)
    x = torch.randint(7, (2, 9))
    mask = torch.arange(9)[None].expand(2, 9) < length
    assert torch.allclose(network(x, mask), network(x[:, :length]), atol=1e-6)
    if length < 9:
        assert not torch.allclose(network(x, mask), network(x), atol=1e-4)


def test_order_matters_to_wide_filters() -> None:
    x, turned = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[4, 3, 2, 1]])
    assert torch.allclose(encoder(widths=[1])(x), encoder(widths=[1])(turned))
    assert not torch.allclose(encoder(widths=[2])(x), encoder(widths=[2])(turned))


def test_dropout_acts_in_training_alone() -> None:
    network, x = encoder(embedding_dropout=0.5, dropout=0.5), torch.randint(7, (2, 9))
    assert torch.equal(network(x), network(x))
    network.train()
    assert not torch.equal(network(x), network(x))


def test_files_restore_the_encoder(tmp_path: Path) -> None:
    network = build_encoder(partial(TextConv, widths=[2, 3], filters=4), SPEC).eval()
    assert network.features_dim == 8
    save_encoder(network, tmp_path / "encoder")
    x = torch.randint(7, (3, 6))
    assert torch.equal(load_encoder(tmp_path / "encoder").eval()(x), network(x))


def test_other_inputs_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"needs token ids \(T,\), but the input is float32 of shape \(9, 3\)"):
        TextConv(InputSpec((9, 3)))
    with pytest.raises(ConfigError, match="filters of at least one width, received none"):
        TextConv(SPEC, widths=[])
