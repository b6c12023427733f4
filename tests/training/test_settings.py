"""Settings of the trainer reach the weights, and what goes wrong is named and recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import lab
from generative.vae.vae import VAE
from lab.errors import DivergedError
from lab.runs.summary import Summary
from lab.tracking import read_journal
from tests.training.models import Watched

DIGITS = {"data.name": "digits", "data.batch_size": 32, "threads": 1}


def weights(**overrides: Any) -> torch.Tensor:
    """Weights after two steps of training, as one vector."""
    from lab.encoders.files import load_encoder

    settings = DIGITS | {"model.encoder": "MLP", "model.encoder.hidden": [8], "trainer.max_epochs": 1}
    run = lab.run("cnn-mnist", settings | overrides, runs_dir="runs", fast_dev_run=True)
    return torch.cat([p.flatten() for p in load_encoder(run.dir / "artifacts" / "encoder").parameters()])


def test_settings_reach_the_weights() -> None:
    base = weights()
    assert torch.equal(base, weights())
    sgd = weights(**{"trainer.optimizer": "SGD", "trainer.optimizer.lr": 0.1})
    clipped = weights(**{"trainer.optimizer": "SGD", "trainer.optimizer.lr": 0.1, "trainer.gradient_clip_norm": 1e-6})
    penalised = weights(**{"trainer.optimizer": "SGD", "trainer.optimizer.lr": 0.1, "trainer.l2": 1.0})
    untrained = weights(**{"trainer.optimizer": "SGD", "trainer.optimizer.lr": 1e-12})
    assert not torch.equal(base, sgd)
    assert (clipped - untrained).norm() < 1e-5 < (sgd - untrained).norm()
    assert penalised.norm() < sgd.norm()


def test_only_training_is_in_mixed_precision(train: Callable[..., Summary]) -> None:
    Watched.seen.clear()
    run = train(model="tests.training.models.Watched", trainer__precision="bf16-mixed", trainer__max_epochs=1)
    assert Watched.seen == {(True, torch.bfloat16), (False, torch.float32)}
    assert {one.dtype for one in lab.load(run.dir).parameters()} == {torch.float32}


def test_early_stopping_stops() -> None:
    overrides = DIGITS | {
        "model.encoder": "MLP",
        "model.encoder.hidden": [8],
        "trainer.max_epochs": 50,
        "trainer.early_stopping.patience": 1,
        "trainer.optimizer.lr": 1e-9,
        "trainer.early_stopping.metric": "val/accuracy",
        "trainer.early_stopping.mode": "max",
    }
    run = lab.run("cnn-mnist", overrides, runs_dir="runs")
    epochs = [row["epoch"] for row in read_journal(run.dir / "metrics.jsonl") if row["axis"] == "epoch"]
    assert max(epochs) < 10


def test_divergence_is_named_and_recorded() -> None:
    with pytest.raises(DivergedError, match=r"train/\w+ became (nan|inf)"):
        lab.run("vae-mnist", DIGITS | {"trainer.optimizer.lr": 1e6, "trainer.max_epochs": 3}, runs_dir="runs")
    from lab.runs.summary import local_runs, runs_folder

    (run,) = local_runs(runs_folder("runs"))
    assert run.status == "diverged"
    assert run.verdict == "not-comparable"


def test_failed_pictures_cost_no_figures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(VAE, "pictures", lambda self, batch: 1 / 0)
    run = lab.run("vae-mnist", DIGITS, runs_dir="runs", fast_dev_run=True)
    assert run.status == "completed"
    assert run.metrics["test/nll"]
    assert "could not be drawn: ZeroDivisionError" in capsys.readouterr().err
