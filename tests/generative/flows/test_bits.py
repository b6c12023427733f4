"""Bits of grey levels, under simple densities and of dequantised images."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from generative.flows.baselines import gaussian_bits
from generative.flows.layers import Logit
from generative.judges.bits import bits_per_dim, dequantised, independent_bits
from tests.generative.flows.pixels import Pixels


def test_grey_level_stays_with_its_noise() -> None:
    images = torch.arange(256).view(-1, 1) / 255
    x = dequantised(images.expand(-1, 50))
    assert torch.equal((256 * x).floor().long(), torch.arange(256).view(-1, 1).expand(-1, 50))
    assert x.std(1).mean().item() == pytest.approx(1 / 256 / math.sqrt(12), rel=0.05)


def test_uniform_density_needs_eight_bits() -> None:
    assert bits_per_dim(torch.zeros(3), 784).tolist() == [8.0] * 3


CPU = torch.device("cpu")


def test_independent_pixels_need_their_entropy() -> None:
    entropy = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert independent_bits(Pixels(), CPU) == pytest.approx(entropy / 2, rel=0.01)


def test_one_gaussian_has_its_exact_density() -> None:
    data, logit = Pixels(), Logit(0.05)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        x, log_det = logit(dequantised(data.images))
    rows = x.flatten(1).double()
    expected = MultivariateNormal(rows.mean(0), rows.T.cov()).log_prob(rows) + log_det  # type: ignore[no-untyped-call]
    assert gaussian_bits(data, logit, CPU) == pytest.approx(bits_per_dim(expected, 2).mean().item(), abs=0.03)
