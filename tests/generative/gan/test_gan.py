"""The GAN learns, and its judge tells good generators from bad ones."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch

import generative.judges.classifier
import lab
from generative.gan.gan import GAN
from generative.gan.losses import LOSSES, Game, discriminator_loss, generator_loss
from generative.gan.penalties import gradient_penalty, r1
from lab.data.batch import Batch
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import Conv, ConvStage
from lab.errors import ConfigError
from lab.saving.checkpoint import load
from lab.training.averaging import Averaging
from lab.training.settings import EMA

DIGITS = {"data.name": "digits", "data.batch_size": 32, "threads": 1}
SMALL_GAN = DIGITS | {"model.encoder.stages": [{"channels": 8, "kernel": 5, "stride": 2}], "model.latent_dim": 8}


@pytest.fixture(autouse=True)
def quick_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge learns for a seventh of the steps that MNIST needs: these images are easier."""
    monkeypatch.setattr(generative.judges.classifier, "STEPS", 200)


def test_gan_losses_at_known_points() -> None:
    zero = torch.zeros(4, 1)
    assert discriminator_loss(zero, zero).item() == pytest.approx(2 * math.log(2))
    assert generator_loss(zero).item() == pytest.approx(math.log(2))
    sure = torch.full((4, 1), 20.0)
    assert discriminator_loss(sure, -sure).item() < 1e-6
    assert generator_loss(-sure).item() == pytest.approx(20, abs=1e-3), (
        "the loss of a generator that fools nobody has a slope"
    )


@pytest.mark.slow
def test_gan_learns_digits() -> None:
    """The judge finds one or two classes among the samples of the first steps."""
    run = lab.run("gan-mnist", SMALL_GAN | {"trainer.max_epochs": 8}, runs_dir="runs")
    assert (run.metrics["test/classes_found"] or 0) >= 4
    assert run.metrics["test/classifier_fid"] is not None


def test_validation_losses_say_whose_they_are() -> None:
    gan = GAN(DataSpec(InputSpec((1, 8, 8)), Classes(2)), encoder=partial(Conv, stages=(ConvStage(4, stride=2),)))
    described = {name: gan.descriptions[f"val/{name}"] for name in gan.losses(Batch(torch.rand(2, 1, 8, 8)))}
    assert described["loss"].startswith("the discriminator's loss")
    assert described["generator_loss"].startswith("the generator's loss")


def test_averaging_takes_the_generator_alone() -> None:
    gan = GAN(DataSpec(InputSpec((1, 8, 8)), Classes(2)), encoder=partial(Conv, stages=(ConvStage(4, stride=2),)))
    averaged = set(Averaging(EMA(), gan).average)
    assert averaged == {f"generator.{name}" for name in gan.generator.state_dict()}


def test_samples_follow_from_their_seed() -> None:
    gan = GAN(DataSpec(InputSpec((3, 8, 8)), Classes(2)), encoder=partial(Conv, stages=(ConvStage(4, stride=2),)))
    first, again = gan.sample(3), gan.sample(3)
    assert [(image.size, image.mode) for image in first] == [((8, 8), "RGB")] * 3
    assert [image.tobytes() for image in first] == [image.tobytes() for image in again]


def gan_of(**settings: Any) -> GAN:
    spec = DataSpec(InputSpec((1, 8, 8)), Classes(3))
    return GAN(spec, encoder=partial(Conv, stages=(ConvStage(4, stride=2),)), fid_samples=None, **settings)


@pytest.mark.parametrize(
    ("game", "discriminator", "generator"),
    [
        ("non-saturating", math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)), math.log1p(math.exp(1))),
        ("minimax", math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)), -math.log1p(math.exp(-1))),
        ("least-squares", 0.5 * ((2 - 1) ** 2 + (-1) ** 2), 0.5 * (-1 - 1) ** 2),
        ("hinge", 0.0, 1.0),
        ("wasserstein", -3.0, 1.0),
    ],
)
def test_losses_agree_with_their_papers(game: Game, discriminator: float, generator: float) -> None:
    """At a score of 2 for real images and of -1 for generated ones."""
    real, fake = torch.full((4, 1), 2.0), torch.full((4, 1), -1.0)
    assert LOSSES[game].discriminator(real, fake).item() == pytest.approx(discriminator)
    assert LOSSES[game].generator(fake).item() == pytest.approx(generator)


def test_penalties_of_a_linear_score() -> None:
    """Its slope is the norm of its weights, 5, everywhere."""
    weights = torch.tensor([3.0, 4.0])
    score = lambda x: (x.flatten(1) * weights).sum(1, keepdim=True)  # noqa: E731
    real, fake = torch.rand(6, 1, 1, 2), torch.rand(6, 1, 1, 2)
    assert r1(score, real).item() == pytest.approx(25 / 2)
    assert gradient_penalty(score, real, fake).item() == pytest.approx(16)
    flat = gradient_penalty(lambda x: 0 * x.flatten(1).sum(1, keepdim=True), real, fake)
    assert flat.item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("penalty", ["r1", "gradient_penalty"])
def test_penalty_flattens_the_discriminator(penalty: str) -> None:
    torch.manual_seed(0)
    gan, x = gan_of(spectral=False, **{penalty: 1.0}), torch.rand(16, 1, 8, 8)
    fake = gan.generate(16).detach()
    optimizer = torch.optim.Adam(gan.encoder.parameters(), 1e-2)

    def cost() -> torch.Tensor:
        return torch.as_tensor(gan._penalty(x, fake, None))

    before = cost().item()
    for _ in range(100):
        optimizer.zero_grad()
        torch.autograd.backward(cost())
        optimizer.step()
    assert cost().item() < before / 2


def test_generator_waits_for_the_discriminator() -> None:
    """It moves with the first of five steps of the discriminator, and stands still for the others."""

    def trained(steps: int) -> dict[str, torch.Tensor]:
        settings = SMALL_GAN | {"model.fid_samples": None, "model.discriminator_steps": 5, "trainer.ema": None}
        run = lab.run("gan-mnist", settings | {"trainer.max_steps": steps}, runs_dir="runs")
        state: dict[str, torch.Tensor] = load(run.dir / "checkpoints" / "final").state
        return state

    two, five, six = map(trained, (2, 5, 6))
    weights = [name for name in two if name.startswith("generator.") and name.endswith(("weight", "bias"))]
    heads = [name for name in two if name.startswith("head.") and not torch.equal(two[name], five[name])]
    assert heads
    assert all(torch.equal(two[name], five[name]) for name in weights)
    assert not all(torch.equal(five[name], six[name]) for name in weights)


def test_rare_penalties_weigh_more() -> None:
    gan, x = gan_of(r1=1.0, penalty_every=2).eval(), torch.rand(4, 1, 8, 8)
    assert torch.as_tensor(gan._penalty(x, x, None)).item() == pytest.approx(2 * r1(gan.score, x).item())


def test_classes_reach_both_players() -> None:
    torch.manual_seed(0)
    gan = gan_of(conditional=True).eval()
    z, x = torch.randn(2, 64), torch.rand(2, 1, 8, 8)
    first, second = torch.tensor([0, 0]), torch.tensor([0, 2])
    assert torch.equal(gan(z, first)[0], gan(z, second)[0])
    assert not torch.allclose(gan(z, first)[1], gan(z, second)[1])
    assert torch.equal(gan.score(x, first)[0], gan.score(x, second)[0])
    assert not torch.allclose(gan.score(x, first)[1], gan.score(x, second)[1])
    groups = {group.optimizer: list(group.parameters) for group in gan.parameter_groups()}
    assert {id(p) for group in groups.values() for p in group} == {id(p) for p in gan.parameters()}


def test_mismatched_classes_count_as_generated() -> None:
    """With two classes the other class is the wrong one, and counts as much as the generated images together."""
    torch.manual_seed(0)
    spec, encoder = DataSpec(InputSpec((1, 8, 8)), Classes(2)), partial(Conv, stages=(ConvStage(8, stride=2),))
    gan = GAN(spec, encoder=encoder, conditional=True, mismatched=True, fid_samples=None).eval()
    x, y = torch.rand(6, 1, 8, 8), torch.tensor([0, 1, 1, 0, 1, 0])
    with torch.no_grad():
        torch.manual_seed(1)
        loss = gan.losses(Batch(x, y))["loss"].item()
        torch.manual_seed(1)
        fake, wrong = gan.score(gan(torch.randn(6, 64), y), y), gan.score(x, 1 - y)
        expected = discriminator_loss(gan.score(x, y), fake) + discriminator_loss(gan.score(x, y), wrong)
    assert loss == pytest.approx(expected.item() / 2, rel=1e-5)
    with pytest.raises(ConfigError, match="mismatched: true needs conditional: true"):
        GAN(spec, encoder=encoder, mismatched=True, fid_samples=None)


def test_conditional_gan_learns_two_classes() -> None:
    """Dark images are of one class, bright ones of the other."""
    torch.manual_seed(0)
    gan = GAN(
        DataSpec(InputSpec((1, 8, 8)), Classes(2)),
        encoder=partial(Conv, stages=(ConvStage(8, stride=2),)),
        latent_dim=4,
        conditional=True,
        fid_samples=None,
    )
    groups = {group.optimizer: list(group.parameters) for group in gan.parameter_groups()}
    optimizers = {name: torch.optim.Adam(group, 2e-3, betas=(0.5, 0.999)) for name, group in groups.items()}
    for _ in range(250):
        y = torch.randint(2, (32,))
        x = (0.2 + 0.6 * y.view(-1, 1, 1, 1) + 0.05 * torch.randn(32, 1, 8, 8)).clamp(0, 1)
        fake = gan(torch.randn(32, 4), y)
        optimizers["discriminator"].zero_grad()
        torch.autograd.backward(discriminator_loss(gan.score(x, y), gan.score(fake.detach(), y)))
        optimizers["discriminator"].step()
        optimizers["generator"].zero_grad()
        torch.autograd.backward(generator_loss(gan.score(fake, y)))
        optimizers["generator"].step()
    gan.eval()
    dark, bright = (gan.generate(50, torch.full((50,), label)).mean().item() for label in (0, 1))
    assert bright > dark + 0.3
