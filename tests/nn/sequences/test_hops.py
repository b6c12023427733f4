"""Hops over memories: attention by hand, what is masked, and nothing to look at."""

from __future__ import annotations

import torch

from lab.nn.sequences.hops import Hops


def test_one_hop_is_attention() -> None:
    torch.manual_seed(0)
    hops = Hops(4, 1)
    torch.nn.init.normal_(hops.nothing)
    state, memories = torch.randn(2, 4), torch.randn(2, 3, 4)
    last, looked = hops(state, memories, torch.ones(2, 3, dtype=torch.bool))
    key, value = hops.memory(memories).chunk(2, dim=2)
    query = hops.queries[0](hops.norms[0](state))
    scores = torch.stack([query @ hops.nothing, *(query * key.transpose(0, 1)).sum(2)][1:], 1)
    scores = torch.cat([(query @ hops.nothing)[:, None], scores], 1) / 2
    assert torch.allclose(looked[:, 0], scores.log_softmax(1), atol=1e-6)
    found = (scores.softmax(1)[:, 1:, None] * value).sum(1)
    assert torch.allclose(last, state + hops.updates[0](torch.cat([state, found], 1)), atol=1e-6)


def test_masked_memories_change_nothing() -> None:
    hops, state, memories = Hops(6, 3), torch.randn(2, 6), torch.randn(2, 5, 6)
    mask = torch.arange(5)[None].expand(2, 5) < 3
    last, looked = hops(state, memories, mask)
    short, seen = hops(state, memories[:, :3], mask[:, :3])
    assert torch.allclose(last, short, atol=1e-6)
    assert torch.allclose(looked[:, :, :4], seen, atol=1e-6)
    assert torch.isneginf(looked[:, :, 4:]).all()


def test_without_memories_it_looks_at_nothing() -> None:
    hops = Hops(6, 2)
    _, looked = hops(torch.randn(1, 6), torch.randn(1, 4, 6), torch.zeros(1, 4, dtype=torch.bool))
    assert torch.equal(looked.exp()[:, :, 0], torch.ones(1, 2))
