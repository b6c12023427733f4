"""Encoders of sound: the spectrogram in front, and convolutions over time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.encoders import InputSpec, LogMel, Recurrent, TemporalConv, Transformer
from lab.encoders.contract import build_encoder
from lab.encoders.files import load_encoder, save_encoder
from lab.errors import ConfigError

SOUND = InputSpec((3_000,), sample_rate=8_000)
INNER: list[Any] = [
    partial(TemporalConv, channels=[8, 12], kernel=3),
    partial(Recurrent, cell="gru", width=8),
    partial(Transformer, width=8, layers=1, heads=2),
]


@pytest.mark.parametrize("inner", INNER)
def test_any_encoder_hears(inner: Any) -> None:
    """`build_encoder` compares a padded sound with the same sound without padding."""
    encoder = build_encoder(partial(LogMel, encoder=inner, mels=20), SOUND).eval()
    x, mask = torch.randn(2, 2_000), torch.arange(2_000) < torch.tensor([[2_000], [700]])
    vectors = encoder(x, mask)
    assert vectors.shape == (2, encoder.features_dim)
    assert torch.allclose(vectors[1], encoder(x[1:, :700])[0], atol=1e-4)
    assert encoder.features(x, mask).shape[::2] == (2, encoder.features_dim)


def test_file_keeps_the_inner_encoder(tmp_path: Path) -> None:
    encoder = build_encoder(partial(LogMel, encoder=INNER[0], mels=20), SOUND).eval()
    save_encoder(encoder, tmp_path / "encoder")
    loaded, x = load_encoder(tmp_path / "encoder").eval(), torch.randn(2, 1_000)
    assert loaded.spec == SOUND
    assert torch.equal(loaded(x), encoder(x))


@pytest.mark.parametrize("length", range(1, 10))
def test_padding_reaches_no_convolution(length: int) -> None:
    torch.manual_seed(0)
    encoder = TemporalConv(InputSpec((9, 3)), channels=[4, 6, 8], blocks=2, kernel=3).eval()
    x = torch.randn(1, 9, 3)
    padded = encoder(x, torch.arange(9)[None] < length)
    assert torch.allclose(padded, encoder(x[:, :length]), atol=1e-6)
    assert not torch.allclose(padded, encoder(x[:, : length - 1] if length > 1 else 2 * x[:, :1]), atol=1e-4)


def test_other_inputs_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"LogMel needs sound .*shape \(3000,\) without a sample rate"):
        LogMel(InputSpec((3_000,)), encoder=INNER[0])
    with pytest.raises(ConfigError, match=r"TemporalConv needs sequences \(T, F\), but the input is float32 of shape"):
        TemporalConv(SOUND)
    with pytest.raises(ConfigError, match="TemporalConv needs an odd kernel, received 4"):
        TemporalConv(InputSpec((9, 3)), kernel=4)
    with pytest.raises(ConfigError, match="at least one stage"):
        TemporalConv(InputSpec((9, 3)), channels=[])
