"""The mutual information gap of codes whose relation to the factors is known."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from generative.judges.disentanglement import entropies, information, mutual_information_gap, principal_components
from generative.vae.vae import VAE
from lab.data import Sprites
from lab.data.generated.sprites import drawn
from lab.encoders import MLP

FACTORS_OF_TWO = torch.cartesian_prod(torch.arange(4.0), torch.arange(5.0)).repeat(500, 1)  # (10000, 2)


def test_a_latent_for_each_factor_has_a_gap_of_one() -> None:
    noise = torch.randn(len(FACTORS_OF_TWO), 1, generator=torch.Generator().manual_seed(0))
    codes = torch.cat([-3 * FACTORS_OF_TWO[:, 1:], noise, FACTORS_OF_TWO[:, :1].exp()], 1)
    assert mutual_information_gap(codes, FACTORS_OF_TWO) == pytest.approx(1, abs=0.01)


def test_latents_that_tell_the_same_have_no_gap() -> None:
    twice = torch.cat([FACTORS_OF_TWO, 7 - 2 * FACTORS_OF_TWO], 1)
    assert mutual_information_gap(twice, FACTORS_OF_TWO) == pytest.approx(0, abs=1e-5)
    mixed = FACTORS_OF_TWO @ torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    assert mutual_information_gap(mixed, FACTORS_OF_TWO) < 0.2


def test_half_known_factor_has_half_its_entropy() -> None:
    """A latent tells whether a factor with four values is above 1: log 2 of log 4 nats."""
    codes = torch.stack([(FACTORS_OF_TWO[:, 0] > 1).float(), torch.zeros(len(FACTORS_OF_TWO))], 1)
    known = information(codes, FACTORS_OF_TWO)
    expected = torch.tensor([[math.log(2), 0.0], [0.0, 0.0]])
    assert torch.allclose(known, expected, atol=1e-4)
    assert torch.allclose(entropies(FACTORS_OF_TWO), torch.tensor([math.log(4), math.log(5)]), atol=1e-5)


def test_continuous_factor_is_cut_like_a_latent() -> None:
    factor = torch.linspace(-1, 1, 10_000)[:, None]
    codes = torch.cat([5 - factor, torch.zeros_like(factor)], 1)
    assert entropies(factor).tolist() == pytest.approx([math.log(20)], abs=1e-3)
    assert mutual_information_gap(codes, factor) == pytest.approx(1, abs=0.01)
    assert mutual_information_gap(codes[:, :1], factor[:, 0]) == pytest.approx(1, abs=0.01), "one latent, one factor"
    assert mutual_information_gap(codes, torch.zeros_like(factor)) == pytest.approx(0, abs=1e-3), "it never changes"


def test_principal_components_agree_with_scikit_learn() -> None:
    from sklearn.decomposition import PCA

    images = torch.randn(300, 1, 4, 5, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.1, 2, 5)
    known, asked = images[:200], images[200:]
    expected = PCA(3, svd_solver="full").fit(known.flatten(1).numpy()).transform(asked.flatten(1).numpy())
    found = principal_components(known, asked, 3)
    assert torch.allclose(found.abs(), torch.from_numpy(expected).abs(), atol=1e-3)


def test_sprites_are_their_factors() -> None:
    images, factors = drawn()
    assert len(torch.unique(images.flatten(1), dim=0)) == len(images) == len(torch.unique(factors, dim=0)), (
        "all of them differ"
    )
    mass = images.float().flatten(1).sum(1)
    shape, size, _, x, y = factors.unbind(1)
    one = (shape == 1) & (size == 2)
    assert mass[one].std() / mass[one].mean() < 0.03, "neither turns nor places change the area"
    assert mass[(shape == 1) & (size == 3)].mean() > 1.3 * mass[one].mean()
    columns = (images[:, 0].float() * torch.arange(28.0)).flatten(1).sum(1) / mass
    rows = (images[:, 0].float() * torch.arange(28.0)[:, None]).flatten(1).sum(1) / mass
    round_ones = shape < 2  # the middle of a heart turns with it
    assert torch.allclose(columns[round_ones], 8 + x[round_ones], atol=0.1)
    assert torch.allclose(rows[round_ones], 8 + y[round_ones], atol=0.1)


def test_vae_reports_the_gap_beside_principal_components() -> None:
    data = Sprites()
    data.prepare()
    vae = VAE(data.spec, encoder=partial(MLP, hidden=[8]), latent_dim=4)
    found = vae.baselines(data)
    assert 0 < found["4 principal components"]["test/mig"] < 0.5
