"""Generation from memory on a device gives what computing everything again gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from generative.autoregressive.generation import _anew, _extending, generate
from lab.data.spec import InputSpec
from lab.encoders import Recurrent, Transformer

SPEC = InputSpec((12,), "int64", vocab=7)
ENCODERS: dict[str, Any] = {
    "Transformer": lambda: Transformer(SPEC, width=16, layers=2, heads=2, causal=True, positions="rotary", pool="last"),
    "Recurrent": lambda: Recurrent(SPEC, cell="gru", width=16),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_memory_changes_nothing(name: str, device: torch.device) -> None:
    torch.manual_seed(0)
    encoder = ENCODERS[name]().to(device).eval()
    tokens = torch.randint(7, (2, 10), device=device)
    remembering, anew = _extending(encoder), _anew(encoder)
    with torch.no_grad():
        for end in range(1, 10):
            torch.testing.assert_close(remembering(tokens[:, :end]), anew(tokens[:, :end]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ENCODERS)
def test_tokens_stay_on_device(name: str, device: torch.device) -> None:
    encoder = ENCODERS[name]().to(device).eval()
    head = torch.nn.Linear(encoder.features_dim, 7, device=device)
    start = torch.zeros(2, 1, dtype=torch.long, device=device)
    drawn = generate(encoder, head, start, 30, top_k=3)
    assert drawn.shape == (2, 30)
    assert drawn.device == start.device
    assert not torch.equal(drawn[0], drawn[1])
