"""Mu-law levels, and the linear predictor beside a model of sound."""

from __future__ import annotations

import math

import pytest
import torch

from generative.autoregressive.linear_prediction import RECENT, fit, level_bits, linear_baselines, recent_variance
from generative.autoregressive.mu_law import LEVELS, SILENCE, decode, edges, encode
from lab.data import Sounds
from lab.data.lengths import LengthBatches


def test_levels_are_finer_where_it_is_quiet() -> None:
    levels = torch.arange(LEVELS)
    assert torch.equal(encode(decode(levels)), levels)
    assert encode(torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])).tolist() == [0, 0, SILENCE, 255, 255]
    assert decode(torch.tensor([0, 255])).tolist() == [-1, 1]
    steps = decode(levels).diff()
    assert steps[127] / steps[-1] == pytest.approx(1 / 252, rel=0.05)  # the derivative of the curve grows 256 times
    x = torch.linspace(-1, 1, 5_001, dtype=torch.float64)
    assert ((edges()[encode(x)] <= x + 1e-12) & (x <= edges()[encode(x) + 1] + 1e-12)).all()


def test_gaussians_give_levels_their_shares() -> None:
    levels = torch.arange(LEVELS)
    for mean, deviation in ((0.0, 0.1), (0.9, 0.5), (-0.02, 1e-3)):
        means, deviations = (torch.full((LEVELS,), value, dtype=torch.float64) for value in (mean, deviation))
        assert torch.exp2(-level_bits(levels, means, deviations)).sum().item() == pytest.approx(1, abs=1e-9)
    one = level_bits(torch.tensor([255]), torch.zeros(1).double(), torch.ones(1).double())
    edge = float(edges()[255])
    assert one.item() == pytest.approx(-math.log2(0.5 * math.erfc(edge / math.sqrt(2))))


def test_predictor_finds_the_resonance() -> None:
    """Of sounds that are noise through a filter with two poles, of different lengths."""
    generator, sounds = torch.Generator().manual_seed(0), []
    for length in (3_000, 1_500, 2_200):
        noise, x = (
            0.05 * torch.randn(length, generator=generator, dtype=torch.float64),
            torch.zeros(length + 2).double(),
        )
        for i in range(length):
            x[i + 2] = 1.6 * x[i + 1] - 0.8 * x[i] + noise[i]
        sounds.append(x[2:].float())
    found = fit(LengthBatches(sounds, batch_size=2, seed=None), 4)
    assert found.weights.tolist() == pytest.approx([0, 0, -0.8, 1.6], abs=0.06)
    assert found.variance.item() == pytest.approx(0.05**2, rel=0.05)


def test_variance_follows_the_last_errors() -> None:
    errors = torch.cat([torch.full((1, 100), 0.1), torch.full((1, 100), 0.5)], 1).double()
    found = recent_variance(errors, floor=0.01)[0]
    assert found[0].item() == pytest.approx(0.01)
    assert found[1].item() == pytest.approx((0.01 + 0.02) / 3)
    assert found[100].item() == pytest.approx((RECENT * 0.01 + 0.02) / (RECENT + 2)), "an error is known before it came"
    assert found[199].item() == pytest.approx((RECENT * 0.25 + 0.02) / (RECENT + 2))


def test_baselines_are_of_the_test_split() -> None:
    data = Sounds(name="tones", eval_batch_size=7)
    data.prepare()
    found = linear_baselines(data)
    data.eval_batch_size = 100
    again = linear_baselines(data)
    for name, figures in found.items():
        assert 4 < figures["test/bits_per_sample"] < 8
        assert figures == pytest.approx(again[name])
        assert figures["test/loss"] == pytest.approx(figures["test/bits_per_sample"] * math.log(2))
