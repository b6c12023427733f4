"""Attention and Transformer blocks equal torch's own, see only what they may see, and go on from a cache."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lab.errors import ConfigError
from lab.nn.sequences.attention import SelfAttention
from lab.nn.sequences.positions import LearnedPositions, RotaryPositions, SinusoidalPositions
from lab.nn.sequences.transformer import TransformerBlock, TransformerBlocks

WIDTH, HEADS, STEPS = 12, 3, 7
LENGTHS = torch.tensor([7, 4, 1])
MASK = torch.arange(STEPS) < LENGTHS[:, None]


def steps() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(3, STEPS, WIDTH)


def random_weights(module: nn.Module) -> Any:
    """Draw all weights anew, so that no bias is zero and no scale is one."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.eval()


def torchs(causal: bool) -> Tensor | None:
    """The mask of attention in torch's words: true where a step must not look."""
    return torch.ones(STEPS, STEPS, dtype=torch.bool).triu(1) if causal else None


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_equals_torch(causal: bool, masked: bool) -> None:
    x, mask = steps(), MASK if masked else None
    attention = random_weights(SelfAttention(WIDTH, HEADS, causal=causal))
    other = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    other.in_proj_weight, other.in_proj_bias = attention.inputs.weight, attention.inputs.bias
    other.out_proj = attention.output
    padding = None if mask is None else ~mask
    expected, _ = other(x, x, x, key_padding_mask=padding, attn_mask=torchs(causal), need_weights=False)
    real = torch.ones_like(MASK) if mask is None else mask
    torch.testing.assert_close(attention(x, mask)[real], expected[real])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_weights_are_those_of_the_output(causal: bool, masked: bool) -> None:
    x, mask = steps(), MASK if masked else None
    attention = random_weights(
        SelfAttention(WIDTH, HEADS, causal=causal, rotary=RotaryPositions(STEPS, WIDTH // HEADS))
    )
    weights = attention.weights(x, mask)
    torch.testing.assert_close(weights.sum(3), torch.ones(3, HEADS, STEPS))
    value = attention.inputs(x)[:, :, 2 * WIDTH :].unflatten(2, (HEADS, -1)).transpose(1, 2)
    expected = attention.output((weights @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x, mask), expected, atol=1e-5, rtol=1e-5)
    blocks = random_weights(TransformerBlocks(WIDTH, 2, HEADS, causal=causal))
    of_last = blocks.blocks[1].attention.weights(blocks.blocks[1].attention_norm(blocks.blocks[0](x, mask)), mask)
    assert torch.equal(blocks.weights(x, mask)[1], of_last)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_block_equals_torch(causal: bool, masked: bool) -> None:
    x, mask = steps(), MASK if masked else None
    block = random_weights(TransformerBlock(WIDTH, HEADS, causal=causal))
    other = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 4 * WIDTH, activation="gelu", batch_first=True, norm_first=True, dropout=0.0
    )
    pairs = {
        "self_attn.in_proj_": "attention.inputs.",
        "self_attn.out_proj.": "attention.output.",
        "linear1.": "mlp.0.",
        "linear2.": "mlp.2.",
        "norm1.": "attention_norm.",
        "norm2.": "mlp_norm.",
    }
    state = block.state_dict()
    other.load_state_dict({f"{a}{end}": state[f"{b}{end}"] for a, b in pairs.items() for end in ("weight", "bias")})
    expected = other(x, src_mask=torchs(causal), src_key_padding_mask=None if mask is None else ~mask)
    real = torch.ones_like(MASK) if mask is None else mask
    torch.testing.assert_close(block(x, mask)[real], expected[real])


@pytest.mark.parametrize("rotary", [None, RotaryPositions(STEPS, WIDTH // HEADS)])
@pytest.mark.parametrize("cuts", [[1] * STEPS, [4, 1, 2], [STEPS]])
def test_cache_equals_whole(cuts: list[int], rotary: RotaryPositions | None) -> None:
    blocks = random_weights(TransformerBlocks(WIDTH, 2, HEADS, causal=True, rotary=rotary))
    past, parts = None, []
    for part in steps().split(cuts, 1):  # type: ignore[no-untyped-call]
        found, past = blocks.extend(part, past)
        parts.append(found)
    torch.testing.assert_close(torch.cat(parts, 1), blocks(steps()), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_causal_steps_see_no_later_ones(masked: bool) -> None:
    blocks, x = random_weights(TransformerBlocks(WIDTH, 2, HEADS, causal=True)), steps()
    mask = torch.ones_like(MASK) if masked else None
    changed = x.clone()
    changed[:, 4] = x[:, 4].flip(-1)  # to add one to all would change nothing: LayerNorm takes it away
    before, after = blocks(x, mask), blocks(changed, mask)
    assert torch.equal(before[:, :4], after[:, :4])
    assert ((before - after)[:, 4:].abs().amax(2) > 1e-3).all()


@pytest.mark.parametrize("causal", [False, True])
def test_padding_does_not_leak(causal: bool) -> None:
    """Neither into features nor into gradients, and nothing is NaN."""
    blocks, x = random_weights(TransformerBlocks(WIDTH, 2, HEADS, causal=causal)), steps()
    spoilt = x.masked_fill(~MASK[:, :, None], 1e3).requires_grad_()
    found = blocks(spoilt, MASK)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(found[row, :length], blocks(x[row : row + 1, :length])[0])
    (gradient,) = torch.autograd.grad(found[MASK].square().sum(), spoilt)
    assert gradient.isfinite().all()
    assert not gradient[~MASK].any()


def test_example_of_padding_alone_is_finite() -> None:
    blocks = random_weights(TransformerBlocks(WIDTH, 1, HEADS, causal=True))
    assert blocks(steps(), torch.zeros_like(MASK)).isfinite().all()


def test_dropout_acts_only_in_training() -> None:
    block, x = TransformerBlock(WIDTH, HEADS, dropout=0.5), steps()
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))


def test_initial_weights() -> None:
    """What ends one of the 8 shortcuts is smaller."""
    torch.manual_seed(0)
    blocks = TransformerBlocks(256, 4, 4)
    for name, weight in blocks.blocks.named_parameters():
        if weight.ndim > 1:
            expected = math.sqrt(2 / (5 * 256)) / (math.sqrt(8) if "output" in name or "mlp.2" in name else 1)
            assert weight.std().item() == pytest.approx(expected, rel=0.02), name
        elif name.endswith("bias"):
            assert not weight.any(), name


def test_rotary_products_depend_on_distance() -> None:
    rotary, x = RotaryPositions(20, 8), torch.randn(2, 8)
    turned = rotary(x[:, None, None].expand(2, 1, 20, 8))[:, 0]
    products = turned[0] @ turned[1].T  # of each position with each other
    for distance in (-5, 0, 3):
        torch.testing.assert_close(
            products.diagonal(distance), products.diagonal(distance)[:1].expand(20 - abs(distance))
        )
    torch.testing.assert_close(turned[:, 0], x)
    torch.testing.assert_close(turned.norm(dim=2), x.norm(dim=1)[:, None].expand(2, 20))
    torch.testing.assert_close(rotary(x[:, None, None], start=7)[:, 0, 0], turned[:, 7])


def test_sinusoids_closed_form() -> None:
    waves = SinusoidalPositions(9, 6)(torch.zeros(1, 4, 6), start=5)[0]
    for row, position in enumerate(range(5, 9)):
        for i in range(3):
            angle = position / 10_000 ** (2 * i / 6)
            assert waves[row, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert waves[row, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_learned_positions_are_added() -> None:
    positions = random_weights(LearnedPositions(9, 6))
    x = torch.randn(2, 4, 6)
    torch.testing.assert_close(positions(x, start=5), x + positions.weight[5:])


def test_fixed_tables_are_no_weights() -> None:
    assert not SinusoidalPositions(9, 6).state_dict()
    assert not RotaryPositions(9, 6).state_dict()


def test_impossible_widths() -> None:
    with pytest.raises(ConfigError, match="heads must divide the width 12, received 5 heads"):
        SelfAttention(12, 5)
    with pytest.raises(ConfigError, match="even number of features in each head, received 3"):
        RotaryPositions(9, 3)


def test_shared_blocks_are_one_block_many_times() -> None:
    torch.manual_seed(0)
    shared = TransformerBlocks(16, 3, 2, causal=True, shared=True).eval()
    apart = TransformerBlocks(16, 3, 2, causal=True).eval()
    for block in apart.blocks:
        block.load_state_dict(shared.blocks[0].state_dict())
    apart.norm.load_state_dict(shared.norm.state_dict())
    x = torch.randn(2, 5, 16)
    assert torch.allclose(shared(x), apart(x), atol=1e-6)
    assert len(list(shared.parameters())) < len(list(apart.parameters())) / 2
    first, past = shared.extend(x[:, :3], None)
    rest, _ = shared.extend(x[:, 3:], past)
    assert torch.allclose(torch.cat([first, rest], 1), shared(x), atol=1e-5)
