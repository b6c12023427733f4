"""The Transformer keeps the encoder's contract, and its outputs go on from earlier steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lab.encoders import InputSpec, Transformer
from lab.encoders.contract import build_encoder
from lab.encoders.files import load_encoder, save_encoder
from lab.errors import ConfigError
from lab.nn.pooling import SequencePool
from lab.nn.sequences.positions import Positions

TOKENS, VECTORS = InputSpec((6,), "int64", vocab=9), InputSpec((6, 3))
POSITIONS: list[Positions] = ["learned", "sinusoidal", "rotary"]
SMALL: dict[str, Any] = {"width": 8, "layers": 2, "heads": 2}


def inputs(spec: InputSpec, count: int = 3) -> Tensor:
    torch.manual_seed(0)
    if spec.dtype == "int64":
        return torch.randint(spec.vocab or 0, (count, *spec.shape))
    return torch.randn(count, *spec.shape)


@pytest.mark.parametrize("pool", ["last", "mean", "max"])
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("spec", [TOKENS, VECTORS], ids=["tokens", "vectors"])
def test_contract(spec: InputSpec, positions: Positions, pool: SequencePool) -> None:
    encoder = build_encoder(lambda given: Transformer(given, positions=positions, pool=pool, **SMALL), spec)
    x = inputs(spec)
    assert encoder.features(x).shape == (3, 6, 8)
    assert encoder(x[:, :4]).shape == (3, encoder.features_dim)
    encoder(x).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("spec", [TOKENS, VECTORS], ids=["tokens", "vectors"])
def test_extending_equals_whole(spec: InputSpec, positions: Positions) -> None:
    encoder = Transformer(spec, positions=positions, causal=True, **SMALL)
    x = inputs(spec)
    first, past = encoder.extend(x[:, :3])
    second, past = encoder.extend(x[:, 3:4], past)
    third, past = encoder.extend(x[:, 4:], past)
    torch.testing.assert_close(torch.cat([first, second, third], 1), encoder.features(x), atol=1e-5, rtol=1e-5)
    with pytest.raises(ConfigError, match="at most 6 steps, received 7"):
        encoder.extend(x[:, :1], past)


@pytest.mark.parametrize("positions", POSITIONS)
def test_order_matters(positions: Positions) -> None:
    torch.manual_seed(0)
    encoder, x = Transformer(TOKENS, positions=positions, **SMALL), inputs(TOKENS)
    assert not torch.allclose(encoder(x), encoder(x.flip(1)), atol=1e-6)


@pytest.mark.parametrize("positions", POSITIONS)
def test_files_restore_the_encoder(positions: Positions, tmp_path: Any) -> None:
    encoder = Transformer(TOKENS, positions=positions, causal=True, bias=False, **SMALL)
    save_encoder(encoder, tmp_path)
    loaded = load_encoder(tmp_path)
    assert isinstance(loaded, Transformer)
    assert loaded.causal
    assert torch.equal(loaded(inputs(TOKENS)), encoder(inputs(TOKENS)))


def test_learns_the_first_token() -> None:
    """Only attention brings it to the last step."""
    torch.manual_seed(0)
    encoder = Transformer(InputSpec((8,), "int64", vocab=2), pool="last", causal=True, **SMALL)
    head = nn.Linear(encoder.features_dim, 1)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-2)
    for _ in range(150):
        x = torch.randint(2, (64, 8))
        loss = nn.functional.binary_cross_entropy_with_logits(head(encoder(x))[:, 0], x[:, 0].float())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    x = torch.randint(2, (512, 8))
    assert ((head(encoder(x))[:, 0] > 0) == x[:, 0].bool()).float().mean() > 0.99


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        (InputSpec((3, 8, 8)), {}, r"the input is float32 of shape \(3, 8, 8\)"),
        (InputSpec((8,)), {}, r"the input is float32 of shape \(8,\)"),
        (InputSpec((8,), "int64"), {}, "number of token ids"),
        (TOKENS, {"heads": 3}, "heads must divide the width 8, received 3 heads"),
        (TOKENS, {"width": 6, "positions": "rotary"}, "even number of features in each head, received 3"),
        ({"a": TOKENS}, {}, "Transformer takes one input"),
    ],
)
def test_impossible_settings(spec: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Transformer(spec, **SMALL | settings)


def test_going_on_needs_causal_attention() -> None:
    with pytest.raises(ConfigError, match="only a causal Transformer can go on"):
        Transformer(TOKENS, **SMALL).extend(inputs(TOKENS))
