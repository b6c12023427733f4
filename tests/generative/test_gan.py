"""The GAN learns, and its judge tells good generators from bad ones."""

from __future__ import annotations

import math
import shutil
from functools import partial
from typing import Any

import pytest
import torch

import generative.judges.classifier
import lab
from generative.gan.gan import GAN
from generative.gan.losses import discriminator_loss, generator_loss
from generative.judges.classifier import Judge
from generative.judges.frechet import frechet_distance
from lab.data import Images
from lab.data.batch import Batch
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import Conv, ConvStage
from lab.saving.checkpoint import load, publish
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


def test_frechet_distance_closed_form() -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(200_000, 3, generator=generator)
    scale, shift = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([1.0, 0.0, -2.0])
    b = torch.randn(200_000, 3, generator=generator) * scale + shift
    expected = float(shift.square().sum() + (1 - scale).square().sum())
    assert frechet_distance(a, b) == pytest.approx(expected, rel=0.02)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_collapsed_generators_are_found() -> None:
    torch.manual_seed(0)
    data = Images(name="digits", batch_size=32)
    data.prepare()
    judge = Judge(data.spec)
    cpu = torch.device("cpu")
    judge.fit(data, cpu)
    images, labels = next(iter(data.test(cpu)))
    with torch.no_grad():
        real, logits = judge.eval()(images)
        other, _ = judge(torch.cat([x for x, _ in data.train(cpu, 1)]))
        assert (logits.argmax(1) == labels).float().mean() > 0.85
        good = frechet_distance(other, real)
        one_image = frechet_distance(judge(images[:1].expand(500, -1, -1, -1))[0], real)
        one_class = frechet_distance(real[labels == 3].repeat(10, 1), real)
        noise = frechet_distance(judge(torch.rand(500, 1, 28, 28))[0], real)
    assert one_image > 10 * good
    assert one_class > 5 * good
    assert noise > 10 * good


def test_gan_learns_digits() -> None:
    start = lab.run("gan-mnist", SMALL_GAN, runs_dir="runs", fast_dev_run=True)
    run = lab.run("gan-mnist", SMALL_GAN | {"trainer.max_epochs": 15}, runs_dir="runs")
    assert (run.metrics["test/classes_found"] or 0) >= 4
    assert run.metrics["test/classifier_fid"] is not None
    assert (run.metrics["test/classes_found"] or 0) > (start.metrics["test/classes_found"] or 0)


def test_judge_ignores_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generative.judges.classifier, "STEPS", 50)

    def real_distance(**overrides: Any) -> Any:
        settings = SMALL_GAN | {"model.fid_samples": 300, "trainer.max_epochs": 1}
        run = lab.run("gan-mnist", settings | overrides, runs_dir="runs")
        return run.metrics["test/classifier_fid_real"], run.metrics["test/judge_accuracy"]

    assert real_distance() == real_distance(**{"data.batch_size": 64, "seed": 5})


def test_judge_is_kept_with_the_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An evaluation trains none, unless the run kept none; then it says so, and has the same figures here."""
    monkeypatch.setattr(generative.judges.classifier, "STEPS", 20)
    best = {
        "data.val_size": 100,
        "trainer.ema": None,
        "trainer.keep_best": {"metric": "val/generator_loss", "mode": "min"},
    }
    run = lab.run("gan-mnist", SMALL_GAN | best | {"model.fid_samples": 300, "trainer.max_epochs": 1}, runs_dir="runs")
    assert "was not kept" not in capsys.readouterr().err
    fit, trained = Judge.fit, []

    def counted(judge: Judge, *of: Any, **settings: Any) -> None:
        trained.append(judge)
        fit(judge, *of, **settings)

    monkeypatch.setattr(Judge, "fit", counted)
    assert lab.evaluate(run.dir).metrics == run.metrics
    assert lab.evaluate(run.dir, checkpoint="last").metrics["test/judge_accuracy"] == run.metrics["test/judge_accuracy"]
    assert not trained
    final = run.dir / "checkpoints" / "final"
    saved = load(final)
    shutil.rmtree(final)
    publish(final, saved.state | {"judge.trained": torch.tensor(False)}, saved.meta)  # as runs before had it
    assert lab.evaluate(run.dir).metrics == run.metrics
    assert len(trained) == 1
    assert "the judge of these samples was not kept with them, so it is trained anew" in capsys.readouterr().err


def test_frechet_distance_agrees_with_torch_in_small() -> None:
    """Against the definition, with the square root of a matrix by its eigenvectors."""
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(300, 5, generator=generator, dtype=torch.float64) @ torch.rand(5, 5, dtype=torch.float64)
    b = torch.randn(200, 5, generator=generator, dtype=torch.float64) + 0.3
    root = torch.linalg.eigvals(torch.cov(a.T) @ torch.cov(b.T)).real.clamp(min=0).sqrt().sum()
    expected = (a.mean(0) - b.mean(0)).square().sum() + torch.cov(a.T).trace() + torch.cov(b.T).trace() - 2 * root
    assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-9)


def test_baselines_are_worse_than_real_images() -> None:
    data = Images(name="digits", batch_size=32)
    data.prepare()
    judge = Judge(data.spec)
    cpu = torch.device("cpu")
    judge.prepare(data, cpu)
    for batch in data.test(cpu):
        judge.see(batch)
    with torch.no_grad():
        real = float(judge.figures(lambda count: torch.rand(count, 1, 28, 28))["classifier_fid_real"])
    found = judge.baselines(data, cpu)
    assert found.keys() == {"mean image", "pixels of different images"}
    assert all(figures["test/classifier_fid"] > 10 * real for figures in found.values())
    assert judge.bounds(data, cpu) == {"real training images": {"test/classifier_fid": real}}


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
