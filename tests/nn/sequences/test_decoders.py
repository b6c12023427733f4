"""Decoders that attend to a memory: no step sees a later one, and one by one gives what all at once does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch

from lab.nn.sequences.attentive_gru import AttentiveGRU
from lab.nn.sequences.decoders import CausalTransformer, SequenceDecoder

MADE: dict[str, Callable[..., SequenceDecoder]] = {
    "gru": partial(AttentiveGRU, width=6, dropout=0.3),
    **{
        positions: partial(CausalTransformer, layers=2, heads=2, positions=positions, dropout=0.3)
        for positions in ("learned", "sinusoidal", "rotary")
    },
}
MASK = torch.arange(5) < torch.tensor([[5], [3]])


@pytest.fixture(params=MADE)
def decoder(request: pytest.FixtureRequest) -> SequenceDecoder:
    torch.manual_seed(0)
    return MADE[request.param](8, 7, 6).eval()


def test_no_step_sees_a_later_one(decoder: SequenceDecoder) -> None:
    x, memory = torch.randn(2, 6, 8, requires_grad=True), torch.randn(2, 5, 7)
    features = decoder(x, decoder.remember(memory, MASK))
    assert features.shape == (2, 6, decoder.features_dim)
    (seen,) = torch.autograd.grad(features[:, 3, 0].sum(), x)
    assert not seen[:, 4:].any()
    assert seen[:, :4].abs().sum(2).gt(0).all()


def test_one_by_one_equals_all_at_once(decoder: SequenceDecoder) -> None:
    x, remembered = torch.randn(2, 6, 8), decoder.remember(torch.randn(2, 5, 7), MASK)
    state, found = None, []
    for cut in (slice(0, 1), slice(1, 4), slice(4, 6)):
        features, state = decoder.extend(x[:, cut], state, remembered)
        found.append(features)
    torch.testing.assert_close(torch.cat(found, 1), decoder(x, remembered))


def test_padding_of_the_memory_is_not_seen(decoder: SequenceDecoder) -> None:
    x, memory = torch.randn(2, 6, 8), torch.randn(2, 5, 7)
    whole = decoder(x, decoder.remember(memory, MASK))
    torch.testing.assert_close(whole[1:], decoder(x[1:], decoder.remember(memory[1:, :3])))
    torch.testing.assert_close(whole[:1], decoder(x[:1], decoder.remember(memory[:1])))


def test_weights_add_up_to_one(decoder: SequenceDecoder) -> None:
    weights = decoder.weights(torch.randn(2, 6, 8), decoder.remember(torch.randn(2, 5, 7), MASK))
    assert weights.shape == (2, 6, 5)
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 6))
    assert not weights[1, :, 3:].any()
