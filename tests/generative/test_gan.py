"""The GAN learns, and its judge tells good generators from bad ones."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

import generative.judges.classifier
import lab
from generative.gan.gan import GAN
from generative.gan.losses import discriminator_loss, generator_loss
from lab.data.batch import Batch
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import Conv, ConvStage
from lab.training.averaging import Averaging
from lab.training.settings import EMA

DIGITS = {"data.name": "digits", "data.batch_size": 32, "threads": 1}
SMALL_GAN = DIGITS | {"model.encoder.stages": [{"channels": 8, "kernel": 5, "stride": 2}], "model.latent_dim": 8}


@pytest.fixture(autouse=True)
def quick_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge learns for a third of the steps that MNIST needs: these images are easier."""
    monkeypatch.setattr(generative.judges.classifier, "STEPS", 468)


def test_gan_losses_at_known_points() -> None:
    zero = torch.zeros(4, 1)
    assert discriminator_loss(zero, zero).item() == pytest.approx(2 * math.log(2))
    assert generator_loss(zero).item() == pytest.approx(math.log(2))
    sure = torch.full((4, 1), 20.0)
    assert discriminator_loss(sure, -sure).item() < 1e-6
    assert generator_loss(-sure).item() == pytest.approx(20, abs=1e-3), (
        "the loss of a generator that fools nobody has a slope"
    )


def test_gan_learns_digits() -> None:
    start = lab.run("gan-mnist", SMALL_GAN, runs_dir="runs", fast_dev_run=True)
    run = lab.run("gan-mnist", SMALL_GAN | {"trainer.max_epochs": 15}, runs_dir="runs")
    assert (run.metrics["test/classes_found"] or 0) >= 4
    assert run.metrics["test/classifier_fid"] is not None
    assert (run.metrics["test/classes_found"] or 0) > (start.metrics["test/classes_found"] or 0)


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
