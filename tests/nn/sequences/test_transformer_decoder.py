"""Decoder blocks equal torch's own, go on from a cache, and see no more than they may."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.errors import ConfigError
from lab.nn.sequences.beam_search import beam_search, repeated
from lab.nn.sequences.cross_attention import CrossAttention
from lab.nn.sequences.positions import LearnedPositions, RotaryPositions
from lab.nn.sequences.transformer import TransformerBlocks
from lab.nn.sequences.transformer_decoder import DecoderBlock, TransformerDecoder

WIDTH, HEADS, STEPS, SOURCE, OTHER = 12, 3, 6, 5, 7
"""OTHER is the width of the memory."""
MASK = torch.arange(STEPS) < torch.tensor([6, 4, 1])[:, None]
MEMORY_MASK = torch.arange(SOURCE) < torch.tensor([2, 5, 4])[:, None]


def given(memory_width: int = OTHER) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    steps = torch.randn(3, STEPS, WIDTH, generator=generator)
    return steps, torch.randn(3, SOURCE, memory_width, generator=generator)


def random_weights(module: nn.Module) -> Any:
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return module.eval()


def decoder(**settings: Any) -> Any:
    return random_weights(TransformerDecoder(WIDTH, 2, HEADS, memory_width=OTHER, **settings))


@pytest.mark.parametrize("masked", [False, True])
def test_block_equals_torch(masked: bool) -> None:
    (x, memory), block = given(WIDTH), random_weights(DecoderBlock(WIDTH, HEADS))
    other = nn.TransformerDecoderLayer(
        WIDTH, HEADS, 4 * WIDTH, activation="gelu", batch_first=True, norm_first=True, dropout=0.0
    )
    state = block.state_dict()
    pairs = {
        "self_attn.in_proj_": "attention.inputs.",
        "self_attn.out_proj.": "attention.output.",
        "multihead_attn.out_proj.": "cross_attention.output.",
        "linear1.": "mlp.0.",
        "linear2.": "mlp.2.",
        "norm1.": "attention_norm.",
        "norm2.": "cross_norm.",
        "norm3.": "mlp_norm.",
    }
    named = {f"{a}{end}": state[f"{b}{end}"] for a, b in pairs.items() for end in ("weight", "bias")}
    for end in ("weight", "bias"):
        parts = [state[f"cross_attention.{part}.{end}"] for part in ("query", "memory")]
        named[f"multihead_attn.in_proj_{end}"] = torch.cat(parts)
    other.load_state_dict(named)
    masks: tuple[Any, Any] = (MASK, MEMORY_MASK) if masked else (None, None)
    expected = other(
        x,
        memory,
        tgt_mask=torch.ones(STEPS, STEPS, dtype=torch.bool).triu(1),
        tgt_key_padding_mask=~MASK if masked else None,
        memory_key_padding_mask=~MEMORY_MASK if masked else None,
    )
    real = MASK if masked else torch.ones_like(MASK)
    found = block(x, block.cross_attention.remember(memory), *masks)
    torch.testing.assert_close(found[real], expected[real], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rotary", [None, RotaryPositions(STEPS, WIDTH // HEADS)])
@pytest.mark.parametrize("cuts", [[1] * STEPS, [3, 1, 2], [STEPS]])
def test_cache_equals_whole(cuts: list[int], rotary: RotaryPositions | None) -> None:
    (x, memory), made = given(), decoder(rotary=rotary)
    remembered, past, parts = made.remember(memory), None, []
    for part in x.split(cuts, 1):  # type: ignore[no-untyped-call]
        found, past = made.extend(part, past, remembered, MEMORY_MASK)
        parts.append(found)
    whole = made(x, remembered, memory_mask=MEMORY_MASK)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)


def test_steps_see_no_later_ones() -> None:
    (x, memory), made = given(), decoder()
    remembered = made.remember(memory)
    changed = x.clone()
    changed[:, 3] = x[:, 3].flip(-1)
    before, after = made(x, remembered), made(changed, remembered)
    assert torch.equal(before[:, :3], after[:, :3])
    assert ((before - after)[:, 3:].abs().amax(2) > 1e-3).all()


def test_padding_does_not_leak() -> None:
    """Neither that of the steps nor that of the memory, into features or gradients."""
    (x, memory), made = given(), decoder()
    x, memory = x.masked_fill(~MASK[:, :, None], 1e3), memory.masked_fill(~MEMORY_MASK[:, :, None], 1e3)
    x, memory = x.requires_grad_(), memory.requires_grad_()
    found = made(x, made.remember(memory), MASK, MEMORY_MASK)
    for row, (steps, source) in enumerate(zip(MASK.sum(1).tolist(), MEMORY_MASK.sum(1).tolist(), strict=True)):
        alone = made(x[row : row + 1, :steps], made.remember(memory[row : row + 1, :source]))[0]
        torch.testing.assert_close(found[row, :steps], alone, atol=1e-5, rtol=1e-5)
    for gradient, mask in zip(torch.autograd.grad(found[MASK].sum(), [x, memory]), (MASK, MEMORY_MASK), strict=True):
        assert gradient[mask].any()
        assert not gradient[~mask].any()


def test_memory_of_padding_alone_is_finite() -> None:
    (x, memory), made = given(), decoder()
    assert made(x, made.remember(memory), memory_mask=torch.zeros_like(MEMORY_MASK)).isfinite().all()


def test_weights_are_those_of_the_output() -> None:
    """Values added up by the weights are what attention gives."""
    (x, memory), attention = given(), random_weights(CrossAttention(WIDTH, HEADS, memory_width=OTHER))
    key, value = attention.remember(memory)
    weights = attention.weights(x, (key, value), MEMORY_MASK)
    assert weights.shape == (3, HEADS, STEPS, SOURCE)
    torch.testing.assert_close(weights.sum(3), torch.ones(3, HEADS, STEPS))
    assert not weights.transpose(1, 3)[~MEMORY_MASK].any()
    expected = attention.output((weights @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x, (key, value), MEMORY_MASK), expected, atol=1e-5, rtol=1e-5)


def test_weights_of_each_block() -> None:
    """Those of the last one, whose steps the first has changed, give the same output."""
    (x, memory), made = given(), decoder()
    remembered = made.remember(memory)
    weights = made.weights(x, remembered, MASK, MEMORY_MASK)
    assert weights.shape == (2, 3, HEADS, STEPS, SOURCE)
    first, last = made.blocks
    x = last.after_self_attention(first(x, remembered[0], MASK, MEMORY_MASK), MASK)
    x = x + last.cross_attention.output((weights[1] @ remembered[1][1]).transpose(1, 2).flatten(2))
    expected = made(given()[0], remembered, MASK, MEMORY_MASK)
    torch.testing.assert_close(made.norm(x + last.mlp(last.mlp_norm(x))), expected, atol=1e-5, rtol=1e-5)


def test_initial_weights() -> None:
    """What ends one of the 6 shortcuts is smaller."""
    torch.manual_seed(0)
    made = TransformerDecoder(256, 2, 4)
    for name, weight in made.blocks.named_parameters():
        if weight.ndim > 1:
            expected = (2 / (5 * 256)) ** 0.5 / (6**0.5 if "output" in name or "mlp.2" in name else 1)
            assert weight.std().item() == pytest.approx(expected, rel=0.02), name
        elif name.endswith("bias"):
            assert not weight.any(), name


def test_impossible_width() -> None:
    with pytest.raises(ConfigError, match="heads must divide the width 12, received 5 heads"):
        CrossAttention(12, 5)


class Reverser(nn.Module):
    """Encodes a source of five tokens, and writes it from its end to its beginning; 0 is the start, 1 the end."""

    def __init__(self, vocab: int = 7, width: int = 32) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab, width), LearnedPositions(SOURCE + 1, width)
        nn.init.normal_(self.positions.weight, std=0.3)
        self.encoder, self.decoder = TransformerBlocks(width, 1, 2), TransformerDecoder(width, 1, 2)
        self.head = nn.Linear(width, vocab)

    def memory(self, source: Tensor) -> Any:
        return self.decoder.remember(self.encoder(self.positions(self.tokens(source))))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self.head(self.decoder(self.positions(self.tokens(target)), self.memory(source)))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def reverser() -> Reverser:
    torch.manual_seed(0)
    model = Reverser()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(100):
        source = torch.randint(2, 7, (64, SOURCE))
        wanted = F.pad(source.flip(1), (0, 1), value=1)
        loss = F.cross_entropy(model(source, F.pad(wanted[:, :-1], (1, 0))).flatten(0, 1), wanted.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.eval()


def test_decoder_learns_to_reverse(reverser: Reverser) -> None:
    """By beam search, whose hypotheses go on from their caches."""
    source = torch.randint(2, 7, (40, SOURCE), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        memory = repeated(reverser.memory(source), 3)

        def step(last: Tensor, past: Any) -> tuple[Tensor, Any]:
            start = past[0][0].shape[2] if past else 0
            steps = reverser.positions(reverser.tokens(last[:, None]), start)
            features, past = reverser.decoder.extend(steps, past, memory)
            return reverser.head(features[:, 0]), past

        found = beam_search(step, None, torch.zeros(40, dtype=torch.int64), end=1, width=3, length=SOURCE + 1)
    right = [one[0].tokens == [*wanted, 1] for one, wanted in zip(found, source.flip(1).tolist(), strict=True)]
    assert sum(right) >= 38
    whole = reverser(source, F.pad(source.flip(1), (1, 0))).log_softmax(2)
    for row, (best,) in enumerate(found):
        if right[row]:
            chances = whole[row].gather(1, torch.tensor(best.tokens)[:, None])
            assert best.log_probability == pytest.approx(float(chances.sum().detach()), abs=1e-4)


def test_attention_finds_what_is_copied(reverser: Reverser) -> None:
    source = torch.randint(2, 7, (40, SOURCE), generator=torch.Generator().manual_seed(1))
    steps = reverser.positions(reverser.tokens(F.pad(source.flip(1), (1, 0))))
    weights = reverser.decoder.weights(steps, reverser.memory(source))[0].mean((0, 1))
    assert torch.equal(weights[:SOURCE].argmax(1), torch.arange(SOURCE).flip(0))
