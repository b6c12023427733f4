"""The judge tells good generators from bad ones, and is the same for all."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import generative.judges.classifier
import lab
from generative.judges.classifier import Judge
from generative.judges.frechet import frechet_distance
from generative.judges.generator import ImageGenerator
from generative.judges.judgement import Judgement
from generative.judges.neighbours import coverage, nearest, precision_and_recall, radii
from generative.vae.vae import VAE
from lab.data import DataModule, Images
from lab.data.augment import Augment
from lab.encoders import MLP
from lab.errors import ConfigError
from lab.experiment.threads import thread_count
from lab.saving.checkpoint import load, publish
from tests.data.own.test_images import folder as image_folder

DIGITS = {"data.name": "digits", "data.batch_size": 32, "threads": 1}
SMALL_GAN = DIGITS | {"model.encoder.stages": [{"channels": 8, "kernel": 5, "stride": 2}], "model.latent_dim": 8}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def quick_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge learns for a third of the steps that MNIST needs: these images are easier."""
    monkeypatch.setattr(generative.judges.classifier, "STEPS", 468)


def test_frechet_distance_closed_form() -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(200_000, 3, generator=generator)
    scale, shift = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([1.0, 0.0, -2.0])
    b = torch.randn(200_000, 3, generator=generator) * scale + shift
    expected = float(shift.square().sum() + (1 - scale).square().sum())
    assert frechet_distance(a, b) == pytest.approx(expected, rel=0.02)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


@pytest.fixture(scope="module")
def judged() -> tuple[Judge, Images]:
    """A trained judge, and its data."""
    data = Images(name="digits", batch_size=32)
    data.prepare()
    judge = Judge(data.spec)
    with pytest.MonkeyPatch.context() as patch, thread_count(1):
        patch.setattr(generative.judges.classifier, "STEPS", 468)
        judge.learn(data)
    return judge.eval(), data


def test_collapsed_generators_are_found(judged: tuple[Judge, Images]) -> None:
    judge, data = judged
    images, labels = next(iter(data.test(CPU)))
    with torch.no_grad():
        real, logits = judge(images)
        other, _ = judge(torch.cat([x for x, _ in data.train(CPU, 1)]))
        assert (logits.argmax(1) == labels).float().mean() > 0.85
        good = frechet_distance(other, real)
        one_image = frechet_distance(judge(images[:1].expand(500, -1, -1, -1))[0], real)
        one_class = frechet_distance(real[labels == 3].repeat(10, 1), real)
        noise = frechet_distance(judge(torch.rand(500, 1, 28, 28))[0], real)
    assert one_image > 10 * good
    assert one_class > 5 * good
    assert noise > 10 * good


def test_judge_ignores_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generative.judges.classifier, "STEPS", 50)

    def real_distance(**overrides: Any) -> Any:
        settings = SMALL_GAN | {"model.fid_samples": 300, "trainer.max_epochs": 1}
        run = lab.run("gan-mnist", settings | overrides, runs_dir="runs")
        return run.metrics["test/classifier_fid_real"], run.metrics["test/judge_accuracy"]

    assert real_distance() == real_distance(**{"data.batch_size": 64, "seed": 5})


def test_judge_is_kept_with_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert lab.evaluate(run.dir).metrics == run.metrics
    assert len(trained) == 1
    assert "the judge of these samples was not kept with them" in capsys.readouterr().err


def test_frechet_distance_agrees_with_torch_in_small() -> None:
    """Against the definition, with the square root of a matrix by its eigenvectors."""
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(300, 5, generator=generator, dtype=torch.float64) @ torch.rand(5, 5, dtype=torch.float64)
    b = torch.randn(200, 5, generator=generator, dtype=torch.float64) + 0.3
    root = torch.linalg.eigvals(torch.cov(a.T) @ torch.cov(b.T)).real.clamp(min=0).sqrt().sum()
    expected = (a.mean(0) - b.mean(0)).square().sum() + torch.cov(a.T).trace() + torch.cov(b.T).trace() - 2 * root
    assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-9)


def test_runs_share_one_judge(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second takes the first one's judge, also on other settings; a damaged file is not used."""
    monkeypatch.setattr(generative.judges.classifier, "STEPS", 5)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = Images(name="digits", batch_size=32)
    data.prepare()

    def learned(**settings: Any) -> str:
        other = Images(name="digits", **settings)
        other.prepare()
        judge = Judge(data.spec)
        judge.learn(other)
        return judge.hash

    first = learned()
    (file,) = (tmp_path / "lab" / "judges").iterdir()
    assert "which is kept in" in capsys.readouterr().err
    written = file.stat().st_mtime_ns
    assert learned(batch_size=64, val_size=100, train_size=500, augment=Augment(shift=2)) == first
    assert file.stat().st_mtime_ns == written, "it was trained again"
    file.write_bytes(file.read_bytes()[:-100])
    assert learned(val_size=200) == first, "the recipe gives the same weights, whatever is held out"
    assert file.stat().st_mtime_ns != written, "the damaged file was not replaced"


def test_each_size_has_a_judge_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both sizes are of one data set, and give weights of one form."""
    monkeypatch.setattr(generative.judges.classifier, "STEPS", 2)
    photos = image_folder(tmp_path / "photos")

    def learned(side: int, cache: str) -> str:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache))
        data = Images(path=str(photos), image_size=side, batch_size=4)
        data.prepare()
        judge = Judge(data.spec)
        judge.learn(data)
        return judge.hash

    alone = learned(27, "one")
    assert learned(28, "two") != learned(27, "two") == alone, "what other runs have left behind changes nothing"


class Noise(ImageGenerator):
    """Draws noise."""

    def losses(self, batch: Any) -> dict[str, torch.Tensor]:
        raise NotImplementedError

    def generate(self, count: int, labels: torch.Tensor | None = None) -> torch.Tensor:
        return torch.rand(count, 1, 28, 28)


def test_data_that_cannot_be_judged_are_refused_at_once() -> None:
    class Bare(Images):
        unchanged = DataModule.unchanged

    data = Bare(name="digits", batch_size=32)
    data.prepare()
    Noise(data.spec, None).adapt(data)
    with pytest.raises(ConfigError, match=r"Bare does not give .* which the judge of samples needs"):
        Noise(data.spec, 300).adapt(data)


def test_a_rehearsal_keeps_no_judge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = Images(name="digits", batch_size=32)
    data.prepare()
    Judge(data.spec).learn(data, fast_dev_run=True)
    assert not (tmp_path / "lab").exists()


def test_judging_leaves_the_first_weights_alone() -> None:
    data = Images(name="digits", batch_size=32)
    data.prepare()

    def first_weights(fid_samples: int | None) -> Any:
        torch.manual_seed(0)
        vae = VAE(data.spec, encoder=partial(MLP, hidden=[4]), latent_dim=2, fid_samples=fid_samples)
        return vae.posterior.weight

    assert torch.equal(first_weights(None), first_weights(500))


def test_neighbours_at_known_points() -> None:
    real = torch.arange(10.0)[:, None]
    assert torch.equal(radii(real, 1), torch.ones(10))
    assert radii(real, 2)[0] == 2, "at the end of a line the second neighbour is two away"
    assert precision_and_recall(real, real, k=1) == (1, 1)
    far = real + 100
    assert precision_and_recall(real, far, k=1) == (0, 0)
    assert coverage(real, far, k=1) == 0
    half = torch.cat([real[:5], far[:5]])
    assert precision_and_recall(real, half, k=1) == pytest.approx((0.5, 0.6)), "6 of 10 are within 1 of 0 to 4"
    assert coverage(real, real[:5] + 0.1, k=1) == pytest.approx(0.6)
    assert nearest(torch.tensor([[3.2], [8.9]]), real)[1].tolist() == [3, 9]


def test_collapse_and_memory_show_in_the_figures(judged: tuple[Judge, Images]) -> None:
    """Of one image, of training images, and of noise."""
    judge, data = judged
    train = torch.cat([x for x, _ in data.unchanged(CPU)])
    with torch.no_grad():
        judgement = Judgement(judge, data, 500, CPU)
        copied = judgement.figures(lambda count: train[:count])
        one = judgement.figures(lambda count: train[:1].expand(count, -1, -1, -1))
        noise = judgement.figures(lambda count: torch.rand(count, *train.shape[1:]))
        seen = judgement.agreement(lambda asked: train[: len(asked)])
    assert copied["nearness"] == 0
    assert copied["precision"] > 0.7
    assert copied["recall"] > 0.7
    assert copied["coverage"] > 0.7
    assert one["recall"] < 0.1
    assert one["classes_found"] == 1
    assert noise["precision"] < 0.1
    assert seen < 0.3, "images in any order agree with the classes asked for by chance only"


def test_the_nearest_training_image_is_found() -> None:
    data = Images(name="digits", batch_size=32)
    data.prepare()
    judge = Judge(data.spec)
    judge.learn(data)
    train = torch.cat([x for x, _ in data.unchanged(CPU)])
    with torch.no_grad():
        found = Judgement(judge, data, 500, CPU).closest(train[:7] + 0.001)
    assert torch.equal(found, train[:7])


def test_baselines_are_worse_than_real_images() -> None:
    data = Images(name="digits", batch_size=32)
    data.prepare()
    judge = Judge(data.spec)
    judge.learn(data)
    with torch.no_grad():
        judgement, few = (Judgement(judge, data, samples, CPU) for samples in (10_000, 200))
        figures = judgement.figures(lambda count: torch.rand(count, 1, 28, 28))
        found, bounds = judgement.baselines(), judgement.bounds()["real training images"]
    real = float(figures["classifier_fid_real"])
    assert found.keys() == {"mean image", "pixels of different images"}
    assert all(figures["test/classifier_fid"] > 10 * real for figures in found.values())
    assert bounds["test/classifier_fid"] == real
    assert bounds["test/precision"] > 0.7
    assert torch.equal(few.real, judgement.real), "few samples are compared with all test images too"
    assert len(few.training) == 200
