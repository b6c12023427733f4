"""A VQ-VAE learns codes, and a prior over them makes its images: from one run to the other, by the artifact."""

from __future__ import annotations

import math
import shutil
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lab
from generative.autoencoders import VQVAE, CodePrior
from generative.autoencoders.patches import entropy_of, k_means
from lab.data import Images
from lab.data.batch import Batch
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import Conv, ConvStage
from lab.errors import ConfigError
from tests.generative.small import CODEBOOK

CPU = torch.device("cpu")
SPEC = DataSpec(InputSpec((1, 28, 28)), Classes(10))
DIGITS = {"data.name": "digits", "data.batch_size": 32, "threads": 1}
PATCHES = [{"channels": 8, "kernel": 4, "stride": 4, "padding": 0}]
VQ = DIGITS | {"model.encoder.stages": PATCHES, "model.codes": 8, "model.width": 4}
PRIOR = DIGITS | {"model.filters": 4, "model.layers": 2, "model.pixel_layers": 0, "model.fid_samples": None}


def vqvae(**settings: Any) -> VQVAE:
    torch.manual_seed(0)
    return VQVAE(SPEC, encoder=partial(Conv, stages=[ConvStage(**PATCHES[0])]), **settings)


def test_prior_takes_the_codebook_of_a_run() -> None:
    with pytest.raises(ConfigError, match=r"`lab run vqvae-mnist` makes it, or add --make-needed"):
        lab.run("vqvae-prior-mnist", PRIOR, runs_dir="runs")
    book = lab.run("vqvae-mnist", VQ | {"trainer.max_epochs": 4}, runs_dir="runs")
    assert (book.metrics["test/codes_used"] or 0) >= 0.8
    short = lab.run("vqvae-prior-mnist", PRIOR | {"trainer.max_steps": 1}, runs_dir="runs")
    longer = lab.run("vqvae-prior-mnist", PRIOR | {"trainer.max_epochs": 4}, runs_dir="runs")
    assert [need["run_id"] for need in longer.needs] == [book.run_id]
    first, last = short.metrics, longer.metrics
    assert (last["test/nll_codes"] or 1e9) < 0.8 * (first["test/nll_codes"] or 0)
    assert last["test/nll_given_codes"] == pytest.approx(first["test/nll_given_codes"], rel=0.02), "it does not change"
    assert last["test/nll"] == pytest.approx((last["test/nll_codes"] or 0) + (last["test/nll_given_codes"] or 0))
    assert last["test/nll_given_codes"] == pytest.approx(book.metrics["test/nll_given_codes"] or 0, rel=0.02)
    shutil.rmtree(book.dir)
    assert len(lab.load(longer.dir).sample(3)) == 3, "its folder alone is enough"


def test_vqvae_learns_digits() -> None:
    data = Images(name="digits", batch_size=32)
    data.prepare()
    model = vqvae(codes=16, width=4)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    images = torch.cat([x for x, _ in data.test(CPU)])

    def nll() -> float:
        with torch.no_grad():
            return float(model.eval().losses(Batch(images))["nll_given_codes"])

    before = nll()
    for _ in range(4):
        for batch in data.train(CPU, 0):
            optimizer.zero_grad()
            model.train().losses(batch)["loss"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    mean = torch.bernoulli(images).mean(0, keepdim=True).clamp(1e-3, 1 - 1e-3).expand_as(images)
    independent = F.binary_cross_entropy(mean, images, reduction="sum") / len(images)
    assert before > independent > 1.2 * nll(), "the codes tell more than the mean image"
    assert all(part.grad is not None and part.grad.abs().sum() > 0 for part in model.parameters())


def test_training_loss_is_the_papers() -> None:
    """Equation 3 for one batch, written out; the codes are not moved by a gradient."""
    model = vqvae(codes=4, width=2, commitment=0.5).eval()
    model.tokenizer.codebook.vectors.normal_()
    x = torch.bernoulli(torch.full((2, 1, 28, 28), 0.5))
    found = model.losses(Batch(x))  # binary images stay as they are
    codes = model.tokenizer.encode(x)
    nll = F.binary_cross_entropy_with_logits(model.tokenizer.decode(codes), x, reduction="none").sum((1, 2, 3)).mean()
    gap = (model.tokenizer.vectors(x) - model.tokenizer.codebook.vectors[codes]).square().sum((1, 2, 3)).mean()
    assert found["nll_given_codes"].item() == pytest.approx(nll.item(), rel=1e-4)
    assert found["loss"].item() == pytest.approx((nll + 0.5 * gap).item(), rel=1e-4)
    assert not any(part.requires_grad for part in model.tokenizer.codebook.buffers())
    assert not list(model.tokenizer.codebook.parameters())


def test_prior_leaves_the_codes_alone() -> None:
    model = CodePrior(SPEC, codes=str(CODEBOOK), filters=4, layers=2, fid_samples=None).train()
    before = {name: value.clone() for name, value in model.tokenizer.state_dict().items()}
    optimizer = torch.optim.SGD([p for group in model.parameter_groups() for p in group.parameters], 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model.losses(Batch(torch.rand(4, 1, 28, 28)))["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in model.tokenizer.state_dict().items())


def test_samples_follow_the_prior() -> None:
    """A prior that knows one code draws that code alone."""
    model = CodePrior(SPEC, codes=str(CODEBOOK), filters=4, layers=2, fid_samples=None).eval()
    with torch.no_grad():
        for parameter in model.prior.parameters():
            parameter.zero_()
        last = model.prior.head[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        last.bias[2] = 30.0
        expected = model.tokenizer.decode(torch.full((2, 7, 7), 2)).sigmoid()
        assert torch.allclose(model.generate(2), expected)


def test_pixels_learn_what_the_decoder_leaves_open() -> None:
    """All pixels of a patch are black, or all are white: the decoder says one half for each, and its pixels are 784
    coins. Given each other they are 49."""
    torch.manual_seed(0)
    model = CodePrior(SPEC, codes=str(CODEBOOK), filters=4, layers=2, pixel_filters=8, pixel_layers=2, fid_samples=None)
    assert model.pixels is not None
    logits, vectors = torch.zeros(16, 1, 28, 28), torch.zeros(16, model.tokenizer.codebook.width, 7, 7)
    optimizer = torch.optim.Adam(model.pixels.parameters(), 0.02)
    for _ in range(60):
        x = torch.randint(2, (16, 1, 7, 7)).float().repeat_interleave(4, 2).repeat_interleave(4, 3)
        loss = model.pixels.nll(x, logits, vectors).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert 49 * math.log(2) < loss.item() < 60 < 784 * math.log(2)
    assert model.generate(2).shape == (2, 1, 28, 28)


def test_independent_codes_cost_what_they_are_worth() -> None:
    """A digit's codes are far from independent, but never cost more than if all were equally frequent."""
    data = Images(name="digits", batch_size=32)
    data.prepare()
    model = CodePrior(data.spec, codes=str(CODEBOOK), filters=4, layers=2, fid_samples=None).eval()
    found = model.baselines(data)["independent codes"]
    assert 0 < found["test/nll_codes"] < 49 * torch.tensor(4.0).log()
    assert found["test/nll"] == pytest.approx(found["test/nll_codes"] + found["test/nll_given_codes"])


def test_codes_of_other_images_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"the codebook in .* takes inputs of shape \(1, 28, 28\)"):
        CodePrior(DataSpec(InputSpec((1, 8, 8)), Classes(2)), codes=str(CODEBOOK), fid_samples=None)


def test_patches_by_k_means() -> None:
    """With a mean for each pattern that occurs, nothing is left to tell: patches of one pixel need two."""
    data = Images(name="digits", batch_size=32)
    data.prepare()
    exact, coarse = k_means(data, (28, 28), 2, CPU), k_means(data, (7, 7), 8, CPU)
    assert exact["test/nll_given_codes"] < 1.0
    assert exact["test/perplexity"] <= 2
    assert coarse["test/nll_given_codes"] > 20
    assert coarse["test/codes_used"] == 1


def test_entropy_of_equal_shares() -> None:
    assert entropy_of(torch.tensor([3, 3, 0, 3, 3])) == pytest.approx(torch.tensor(4.0).log().item())
