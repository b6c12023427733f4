"""Autoencoders learn, beat principal components, and each penalty does what it is for."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from generative.autoencoders import Autoencoder, ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder
from generative.autoencoders.figures import CodeFigures, noisy, peak_signal
from generative.autoencoders.pca import PCA
from generative.judges.probe import Examples, few_labelled, probe_accuracy
from lab.data import Images
from lab.encoders import MLP

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data() -> Images:
    found = Images(name="digits", batch_size=64, val_size=0)
    found.prepare()
    return found


@pytest.fixture(scope="module")
def figures(data: Images) -> CodeFigures:
    return CodeFigures(data, CPU, noise=0.5)


def learned(cls: Any, data: Images, epochs: int, **settings: Any) -> Any:
    torch.manual_seed(0)
    model = cls(data.spec, encoder=partial(MLP, hidden=[64], activation="silu"), latent_dim=8, **settings)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    batches = data.train(CPU, 0)
    for _ in range(epochs):
        for batch in batches:
            optimizer.zero_grad()
            model.losses(batch)["loss"].backward()
            optimizer.step()
    return model.eval()


def test_components_are_the_best_linear_code(data: Images) -> None:
    """The error that they leave is the variance of the components that are left out."""
    x = torch.cat([x for x, _ in data.unchanged(CPU)])
    whole, part = PCA([x], 784), PCA(torch.split(x, 100), 8)
    assert torch.allclose(part.encode(x).var(0, correction=0), part.variances, rtol=1e-3)
    left = (part.encode(x) @ part.components.T + part.mean - x.flatten(1)).square().sum(1).mean()
    assert left.item() == pytest.approx(whole.variances[8:].sum().item(), rel=1e-3)
    assert torch.allclose(whole.decode(whole.encode(x[:5])), x[:5], atol=1e-3)


def test_autoencoder_beats_components(data: Images, figures: CodeFigures) -> None:
    model = learned(Autoencoder, data, 25)
    (name,), (baseline,) = zip(*model.baselines(data).items(), strict=True)
    found = figures.of(model.encode, model.decode)
    assert name == "8 principal components"
    assert found["psnr"] > baseline["test/psnr"] + 0.5
    assert baseline.keys() == {f"test/{name}" for name in found}
    assert found.keys() <= {name.removeprefix("test/") for name in model.descriptions}


def test_denoising_cleans_what_it_never_saw(data: Images, figures: CodeFigures) -> None:
    plain, denoising = (
        figures.of(model.encode, model.decode)
        for model in (learned(Autoencoder, data, 12), learned(DenoisingAutoencoder, data, 12, noise=0.5))
    )
    assert denoising["psnr_from_noisy"] > plain["psnr_from_noisy"] + 1
    assert denoising["psnr_gained"] > 3


def test_sparse_codes_are_sparse(data: Images, figures: CodeFigures) -> None:
    plain, sparse = (
        figures.of(model.encode, model.decode)
        for model in (
            learned(Autoencoder, data, 12),
            learned(SparseAutoencoder, data, 12, weight=1.0),
        )
    )
    assert sparse["active_share"] < plain["active_share"] - 0.05


def test_contractive_codes_are_less_sensitive(data: Images, figures: CodeFigures) -> None:
    plain, contractive = (
        figures.of(model.encode, model.decode)
        for model in (
            learned(Autoencoder, data, 6),
            learned(ContractiveAutoencoder, data, 6, weight=0.3),
        )
    )
    assert contractive["sensitivity"] < 0.8 * plain["sensitivity"]


def test_figures_of_a_perfect_code(figures: CodeFigures) -> None:
    """The identity, the pixels themselves being the code: nothing is lost, and noise stays."""
    whole = figures.of(lambda x: x.flatten(1), lambda code: code.view(-1, 1, 28, 28))
    assert whole["psnr"] == pytest.approx(100)
    assert whole["psnr_gained"] == pytest.approx(0, abs=1e-4)
    assert whole["jacobian"] == pytest.approx(28, rel=1e-4), "the root of 784 ones"


def test_peak_signal_by_hand() -> None:
    assert peak_signal(0.01) == pytest.approx(20)


def test_noise_stays_within_the_range() -> None:
    torch.manual_seed(0)
    grey = torch.full((20, 1, 28, 28), 0.5)
    worse = noisy(grey, 0.1)
    assert (worse - grey).std().item() == pytest.approx(0.1, rel=0.05)
    assert (noisy(grey, 5.0).min().item(), noisy(grey, 5.0).max().item()) == (0, 1)


def test_probe_has_equally_many_of_each_class(data: Images) -> None:
    chosen, again = few_labelled(data, CPU, 20), few_labelled(data, CPU, 20)
    assert chosen
    assert again
    assert chosen.labels.bincount().tolist() == [20] * 10
    assert torch.equal(chosen.x, again.x)
    codes = torch.eye(10)[chosen.labels]
    assert probe_accuracy(Examples(codes, chosen.labels), Examples(torch.eye(10), torch.arange(10))) == 1
    assert probe_accuracy(Examples(codes, chosen.labels), Examples(torch.eye(10).roll(1, 0), torch.arange(10))) == 0
