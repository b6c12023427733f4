"""Bounds, priors and hierarchies of variational autoencoders agree with what can be computed otherwise."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, MixtureSameFamily, MultivariateNormal, Normal

import lab
from generative.vae.beginning import begin_at, mean_image
from generative.vae.conditional import ConditionalVAE
from generative.vae.gaussians import log_bernoulli, log_mean_exp, log_mixture, log_normal, log_standard_normal
from generative.vae.hierarchical import HierarchicalVAE
from generative.vae.importance import IWAE
from generative.vae.vae import VAE
from generative.vae.vamp import VampVAE
from lab.data import Images
from lab.data.base import Batches, DataModule
from lab.data.batch import Batch
from lab.data.batches import TensorBatches
from lab.data.loader import plain_batches
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import MLP
from lab.errors import ConfigError
from lab.nn.decoders import ConvDecoder

SPEC = DataSpec(InputSpec((1, 2, 2)), Classes(3))
ENCODER = partial(MLP, hidden=[5], activation="tanh")
SMALL = {"data.name": "digits", "data.batch_size": 32, "threads": 1, "model.nll_samples": 50, "model.fid_samples": None}


def test_densities_agree_with_torch() -> None:
    torch.manual_seed(0)
    z, mean, log_variance = torch.randn(4, 3, 2), torch.randn(3, 2), torch.randn(3, 2)
    one = Normal(mean, (0.5 * log_variance).exp())
    assert torch.allclose(log_normal(z, mean, log_variance), one.log_prob(z).sum(-1), atol=1e-5)  # type: ignore[no-untyped-call]
    assert torch.allclose(log_standard_normal(z), Normal(0.0, 1.0).log_prob(z).sum(-1), atol=1e-5)  # type: ignore[no-untyped-call]
    parts = MultivariateNormal(mean, torch.diag_embed(log_variance.exp()))
    mixture = MixtureSameFamily(torch.distributions.Categorical(torch.ones(3)), parts)
    assert torch.allclose(log_mixture(z, mean, log_variance), mixture.log_prob(z), atol=1e-4)  # type: ignore[no-untyped-call]
    logits, x = torch.randn(4, 3, 1, 2, 2), torch.bernoulli(torch.full((3, 1, 2, 2), 0.5))
    expected = Bernoulli(logits=logits).log_prob(x).flatten(2).sum(2)  # type: ignore[no-untyped-call]
    assert torch.allclose(log_bernoulli(logits, x), expected, atol=1e-5)


def test_bounds_get_tighter_with_samples() -> None:
    """L_1 <= L_5 <= L_50 <= log p(x) in expectation (Burda et al. 2016, theorem 1)."""
    torch.manual_seed(0)
    model = _shaken(IWAE(SPEC, encoder=ENCODER, latent_dim=1))
    x = torch.bernoulli(torch.full((1, 1, 2, 2), 0.5))
    with torch.no_grad():
        weights = model.log_weights(x.expand(20_000, -1, -1, -1), 50)
        bounds = [float(log_mean_exp(weights[:k]).mean()) for k in (1, 5, 50)]
        exact = _by_integration(model, x)
    assert bounds[0] < bounds[1] < bounds[2] <= exact + 0.01
    assert bounds[2] == pytest.approx(exact, abs=0.02)


def test_one_sample_is_the_elbo() -> None:
    """With K = 1 both bounds are the VAE's, whose divergence is in closed form."""
    torch.manual_seed(0)
    model = _shaken(IWAE(SPEC, encoder=ENCODER, latent_dim=2, samples=1))
    vae = VAE(SPEC, encoder=ENCODER, latent_dim=2)
    vae.load_state_dict(model.state_dict())
    batch = Batch(torch.bernoulli(torch.full((1, 1, 2, 2), 0.5)).expand(50_000, -1, -1, -1))
    with torch.no_grad():
        expected = float(vae.losses(batch)["loss"])
        assert float(model.losses(batch)["loss"]) == pytest.approx(expected, abs=0.02)
        model.bound, model.samples = "elbo", 3
        assert float(model.losses(batch)["loss"]) == pytest.approx(expected, abs=0.02)
        model.bound = "iwae"
        assert float(model.losses(batch)["loss"]) < expected - 0.02


def test_glorot_begins_at_the_mean_image() -> None:
    """Weights have the spread of Glorot & Bengio, and an untrained decoder draws about the mean training image."""
    torch.manual_seed(0)
    labels = torch.arange(1000) % 2
    images = labels.view(-1, 1, 1, 1).float() * torch.tensor([[0.2, 0.4], [1.0, 0.0]])
    data, encoder = _Given(images, labels), partial(MLP, hidden=[300, 500])
    model = HierarchicalVAE(data.spec, encoder=encoder, lower_dim=40, initial="glorot")
    model.adapt(data)
    spread = {tuple(p.shape): float(p.detach().std()) for p in model.parameters()}
    assert spread[(500, 300)] == pytest.approx(math.sqrt(2 / 800), rel=0.05)
    assert spread[(300, 500)] == pytest.approx(math.sqrt(2 / 800), rel=0.05)
    assert spread[(80, 100)] == pytest.approx(math.sqrt(2 / 180), rel=0.05), "between the two layers too"
    with torch.no_grad():
        drawn = model.decode(torch.zeros(1, 40)).sigmoid()[0, 0]
    assert torch.allclose(drawn, torch.tensor([[0.1, 0.2], [0.5, 0.001]]), atol=1e-4)
    other = VAE(data.spec, encoder=encoder, decoder=partial(ConvDecoder, shapes=[(3, 1, 1), (1, 2, 2)], kernels=[1]))
    begin_at(mean_image([images]), other.decoder)
    bias = [p for p in other.decoder.parameters() if p.shape == (1,)][-1]
    assert float(bias.detach().sigmoid()) == pytest.approx(0.2, abs=1e-4), "one channel has one bias"


def test_two_layers_agree_with_the_integral() -> None:
    torch.manual_seed(0)
    model = _shaken(HierarchicalVAE(SPEC, encoder=ENCODER, lower_dim=1, latent_dim=1, hidden=[3], nll_samples=50_000))
    x = torch.bernoulli(torch.full((1, 1, 2, 2), 0.5))
    line = torch.linspace(-8, 8, 801)
    with torch.no_grad():
        for layer in (model.posterior, model.up[1]):  # wide posteriors: those that are too narrow miss much of p(x)
            layer.weight.mul_(0.1)
            layer.bias.copy_(torch.tensor([0.3, 1.5]))
        mean, log_variance = model.down(line[:, None]).chunk(2, dim=-1)  # p(h|z) for each z
        h = torch.linspace(-15, 15, 1501)
        given_z = log_normal(h.view(1, -1, 1), mean[:, None], log_variance[:, None])  # (z, h)
        prior = (given_z + log_standard_normal(line[:, None])[:, None]).logsumexp(0) + math.log(0.02)
        fit = log_bernoulli(model.decode(h[:, None])[:, None], x)[:, 0]
        exact = (fit + prior).logsumexp(0) + math.log(0.02)
        assert float(model.negative_log_likelihood(x)) == pytest.approx(-float(exact), abs=0.02)


def test_vamp_prior_is_the_mixture_of_its_posteriors() -> None:
    torch.manual_seed(0)
    model = _shaken(VampVAE(SPEC, encoder=ENCODER, latent_dim=2, pseudo_inputs=4))
    with torch.no_grad():
        z = model.from_prior(200_000)
        mean, log_variance = model(model.pseudo_inputs.sigmoid())
        second = log_variance.exp() + mean.square()
        assert torch.allclose(z.mean(0), mean.mean(0), atol=0.02)
        assert torch.allclose(z.square().mean(0), second.mean(0), rtol=0.02)
        # E_q[log p(z)] is largest for the density that z is drawn from.
        assert model.log_prior(z).mean() > log_standard_normal(z).mean()
        grid = torch.cartesian_prod(torch.linspace(-12, 12, 400), torch.linspace(-12, 12, 400))
        assert model.log_prior(grid).exp().sum() * (24 / 399) ** 2 == pytest.approx(1, abs=0.01)


def test_vamp_begins_with_training_images() -> None:
    data = Images(name="digits")
    data.prepare()
    model = VampVAE(data.spec, encoder=ENCODER, latent_dim=2, pseudo_inputs=3)
    model.adapt(data)
    known = torch.cat([x for x, _ in data.train(torch.device("cpu"), 0)])
    for image in model.pseudo_inputs.detach().sigmoid():
        assert (known - (image - 0.05) / 0.9).abs().amax((1, 2, 3)).min() < 1e-5
    first = model.pseudo_inputs.detach().clone()
    model.adapt(data)
    assert torch.equal(model.pseudo_inputs, first), "it follows from the data alone"


def test_class_decides_what_is_drawn() -> None:
    """A conditional VAE on images that are all black or all white, by class."""
    torch.manual_seed(0)
    spec = DataSpec(InputSpec((1, 2, 2)), Classes(2, ("black", "white")))
    model = ConditionalVAE(spec, encoder=ENCODER, latent_dim=2)
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    labels = torch.arange(64) % 2
    batch = Batch(labels.view(-1, 1, 1, 1).float().expand(-1, 1, 2, 2), labels)
    for _ in range(150):
        optimizer.zero_grad()
        model.losses(batch)["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        drawn = model.generate(64, labels).mean((1, 2, 3))
    assert drawn[labels == 0].max() < 0.2
    assert drawn[labels == 1].min() > 0.8
    assert [image.getpixel((0, 0)) > 200 for image in model.sample(3, prompt="white")] == [True] * 3  # type: ignore[operator]
    with pytest.raises(ConfigError, match="there is no class 'whit'; did you mean 'white'"):
        model.sample(1, prompt="whit")
    with torch.no_grad():
        assert torch.equal(model.classes_of(batch.inputs), labels)  # type: ignore[arg-type]
        latents = model.latents_of(batch.inputs)  # type: ignore[arg-type]
        assert latents.shape == (64, 4)
        assert torch.allclose(model.images_of(latents), batch.inputs, atol=0.2)  # type: ignore[arg-type]
        model.shares.copy_(torch.tensor([0.0, 1.0]))
        assert model.generate(64).min() > 0.8, "without classes it draws them as they are in training"


def test_classes_are_drawn_as_often_as_in_training() -> None:
    data = Images(name="digits")
    data.prepare()
    model = ConditionalVAE(data.spec, encoder=ENCODER, latent_dim=2)
    model.adapt(data)
    labels = torch.cat([y for _, y in plain_batches(data, torch.device("cpu"), 0)])
    assert torch.allclose(model.shares, labels.bincount() / len(labels))


def test_classes_have_their_own_pixels() -> None:
    """Images that follow from their class cost almost nothing; where it is not known, they cost log 2 a pixel."""
    labels = torch.arange(1000) % 2
    model = ConditionalVAE(DataSpec(InputSpec((1, 2, 2)), Classes(2)), encoder=ENCODER, latent_dim=2)
    images = labels.view(-1, 1, 1, 1).float().expand(-1, 1, 2, 2)
    found = model.baselines(_Given(images, labels))
    assert found["independent pixels of each class"]["test/nll"] == pytest.approx(
        -4 * math.log(1 - 0.5 / 501), rel=1e-3
    )
    assert found["independent pixels"]["test/nll"] == pytest.approx(4 * math.log(2), rel=1e-3)


def test_unused_latents_are_counted() -> None:
    """The decoder of one latent ignores it: a posterior that is the prior is inactive."""
    few = {"trainer.max_epochs": 2, "trainer.ema": None, "model.initial": "default"}
    run = lab.run("vae-mnist", SMALL | few | {"model.beta": 1000.0}, runs_dir="runs")
    assert run.metrics["test/active_units"] == 0
    assert run.metrics["test/information"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    "build",
    [
        partial(VAE, latent_dim=2),
        pytest.param(partial(IWAE, latent_dim=2), marks=pytest.mark.slow),
        partial(HierarchicalVAE, lower_dim=2, latent_dim=2, hidden=[8]),
        pytest.param(partial(VampVAE, latent_dim=2, pseudo_inputs=4), marks=pytest.mark.slow),
        partial(ConditionalVAE, latent_dim=2),
    ],
    ids=lambda build: build.func.__name__,
)
def test_variant_learns_four_patterns(build: Any) -> None:
    """No model can code one of four equally likely images in less than log 4 nats; given their class, log 2."""
    torch.manual_seed(0)
    patterns = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]]).view(4, 1, 2, 2).float()
    batch = Batch(patterns.repeat(16, 1, 1, 1), torch.tensor([0, 0, 1, 1]).repeat(16))
    model = build(DataSpec(InputSpec((1, 2, 2)), Classes(2)), encoder=partial(MLP, hidden=[32]), nll_samples=200)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(500):
        optimizer.zero_grad()
        model.losses(batch)["loss"].backward()
        optimizer.step()
    with torch.no_grad():
        nll = float(model.negative_log_likelihood(batch.inputs, batch.targets).mean())
    floor = math.log(2 if model.conditional else 4)
    assert floor - 0.1 < nll < floor + 0.3


class _Given(DataModule):
    """The same images to train and to test on."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.tensors = images, labels
        self.spec = DataSpec(InputSpec(tuple(images.shape[1:])), Classes(int(labels.max()) + 1))

    def prepare(self) -> None: ...

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return TensorBatches(*self.tensors, batch_size=50, seed=seed)

    def validation(self, device: torch.device) -> None: ...

    def test(self, device: torch.device) -> Batches:
        return TensorBatches(*self.tensors, batch_size=50, seed=None)


def _shaken(model: Any) -> Any:
    """Return the model with random weights."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.7)
    return model


def _by_integration(model: VAE, x: Tensor) -> float:
    """log p(x) of a model with one latent, over a grid."""
    z = torch.linspace(-8, 8, 4001)[:, None]
    joint = log_bernoulli(model.decode(z)[:, None], x)[:, 0] + log_standard_normal(z)
    return float(joint.logsumexp(0) + math.log(16 / 4000))
