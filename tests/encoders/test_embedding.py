"""A vector for each token: pooled without what is padding, and restored from its files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lab.encoders import Embedding, InputSpec
from lab.encoders.contract import build_encoder
from lab.encoders.files import load_encoder, save_encoder
from lab.errors import ConfigError

SPEC = InputSpec((6,), "int64", vocab=9)


def test_pools_the_vectors_of_real_tokens() -> None:
    network = Embedding(SPEC, width=4).eval()
    x, mask = torch.tensor([[3, 8, 3, 0, 0, 0]]), torch.arange(6)[None] < 3
    weight = network.embedding.weight
    assert torch.allclose(network(x, mask)[0], (2 * weight[3] + weight[8]) / 3)
    assert torch.equal(network.features(x)[0, 1], weight[8])
    assert torch.allclose(network(x, mask), network(x[:, [1, 0, 2]]))  # the order does not matter


def test_files_restore_the_vectors(tmp_path: Path) -> None:
    network = build_encoder(Embedding, SPEC).eval()
    save_encoder(network, tmp_path / "encoder")
    x = torch.randint(9, (3, 5))
    assert torch.equal(load_encoder(tmp_path / "encoder")(x), network(x))


def test_numbers_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"needs token ids \(T,\), but the input is float32 of shape \(6, 2\)"):
        Embedding(InputSpec((6, 2)))
