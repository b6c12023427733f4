"""The VAE learns, and its estimates agree with closed forms."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

import lab
from generative.vae.gaussians import kl_to_standard_normal
from generative.vae.vae import VAE
from lab.data import Images
from lab.data.spec import DataSpec
from lab.encoders import MLP, InputSpec
from lab.errors import DivergedError
from lab.tracking import read_journal

DIGITS = {"data.name": "digits", "data.batch_size": 32, "threads": 1}


@pytest.mark.slow
def test_vae_learns_digits() -> None:
    small = DIGITS | {"model.encoder.hidden": [64], "model.latent_dim": 8, "model.nll_samples": 50}
    small |= {"model.fid_samples": None, "trainer.ema": None}  # an average needs more steps
    small["model.initial"] = "default"  # the other one begins with the pixels' means
    short = lab.run("vae-mnist", small | {"trainer.max_epochs": 1}, runs_dir="runs")
    longer = lab.run("vae-mnist", small | {"trainer.max_epochs": 15}, runs_dir="runs")
    assert (longer.metrics["test/nll"] or 1e9) < 0.8 * (short.metrics["test/nll"] or 0)
    assert (longer.metrics["test/nll"] or 1e9) < (longer.metrics["test/loss"] or 0), "tighter than the ELBO"
    axes = {row["axis"] for row in read_journal(longer.dir / "metrics.jsonl")}
    assert axes == {"global_step", "epoch"}


def test_description_names_the_samples_used() -> None:
    vae = VAE(DataSpec(InputSpec((1, 4, 4))), encoder=partial(MLP, hidden=[4]), latent_dim=2, nll_samples=5_000)
    assert "with 5,000 samples per image" in vae.descriptions["test/nll"]
    vae.prepare_test(Images(name="digits"), torch.device("cpu"), fast_dev_run=True)
    assert "with 5 samples per image" in vae.descriptions["test/nll"]


def test_kl_closed_form() -> None:
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(kl_to_standard_normal(mean, log_variance), expected, atol=1e-5)


def test_nll_closed_form() -> None:
    """A decoder that ignores z makes p(x) a product of Bernoullis, whatever the posterior."""
    vae = VAE(DataSpec(InputSpec((1, 4, 4))), encoder=partial(MLP, hidden=[4]), latent_dim=2, nll_samples=7)
    with torch.no_grad():
        for parameter in vae.decoder.parameters():
            parameter.zero_()
        bias = torch.randn(16)
        vae.decoder.output.bias.copy_(bias)  # type: ignore[union-attr, operator]
        vae.posterior.weight.zero_()
        vae.posterior.bias.zero_()  # the posterior is the prior: every weight is p(x)
        x = torch.bernoulli(torch.full((3, 1, 4, 4), 0.5))
        expected = F.binary_cross_entropy_with_logits(bias.expand(3, -1), x.flatten(1), reduction="none").sum(1)
        assert torch.allclose(vae.negative_log_likelihood(x), expected, atol=1e-4)


def test_nll_converges_to_the_integral() -> None:
    """One latent: the integral over z can be done on a grid. The estimate must not depend on the posterior."""
    torch.manual_seed(0)
    vae = VAE(DataSpec(InputSpec((1, 2, 2))), encoder=partial(MLP, hidden=[4]), latent_dim=1, nll_samples=20_000)
    with torch.no_grad():
        for parameter in vae.decoder.parameters():
            parameter.normal_()
        x = torch.bernoulli(torch.full((2, 1, 2, 2), 0.5))
        z = torch.linspace(-8, 8, 4001).view(-1, 1)
        logits = vae.decoder(z).flatten(1)
        for image, estimate in zip(x, vae.negative_log_likelihood(x), strict=True):
            log_p = -F.binary_cross_entropy_with_logits(logits, image.flatten().expand_as(logits), reduction="none")
            joint = log_p.sum(1) + Normal(0.0, 1.0).log_prob(z).squeeze(1)  # type: ignore[no-untyped-call]
            exact = -(joint.logsumexp(0) + math.log(16 / 4000))
            assert estimate.item() == pytest.approx(exact.item(), abs=0.02)


def test_infinite_nll_is_divergence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VAE, "negative_log_likelihood", lambda self, x, labels: torch.full((len(x),), torch.nan))
    with pytest.raises(DivergedError, match="test/nll: not finite"):
        lab.run("vae-mnist", DIGITS, runs_dir="runs", fast_dev_run=True)


def test_independent_pixels_have_their_exact_likelihood() -> None:
    """One pixel that is always 0.25 in training, and half grey in one added image; tested at any grey value."""
    data = Images(name="digits", batch_size=32)
    data.prepare()
    vae = VAE(data.spec, encoder=partial(MLP, hidden=[4]), latent_dim=2)
    cpu = torch.device("cpu")
    train = torch.cat([x for x, _ in data.train(cpu, 0)])
    test = torch.cat([x for x, _ in data.test(cpu)])
    mean = (train.sum(0) + 0.5) / (len(train) + 1)
    bits = torch.bernoulli(test.expand(50, *test.shape), generator=torch.Generator().manual_seed(0))
    sampled = -(bits * mean.log() + (1 - bits) * (1 - mean).log()).flatten(2).sum(2).mean()
    found = vae.baselines(data)["independent pixels"]["test/nll"]
    assert found == pytest.approx(float(sampled), rel=1e-3)


def test_samples_follow_from_their_seed() -> None:
    vae = VAE(DataSpec(InputSpec((1, 6, 5))), encoder=partial(MLP, hidden=[4]), latent_dim=2)
    first, again, other = vae.sample(3), vae.sample(3), vae.sample(3, seed=1)
    assert [image.size for image in first] == [(5, 6)] * 3
    assert [image.tobytes() for image in first] == [image.tobytes() for image in again]
    assert [image.tobytes() for image in first] != [image.tobytes() for image in other]
    assert vae.training, "it is left in the mode that it was in"
