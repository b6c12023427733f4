"""Which weights are evaluated and exported: the last, the averaged, or the best."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.data.spec import DataSpec, InputSpec, Values
from lab.errors import ConfigError
from lab.evaluation import evaluate
from lab.runs.summary import Summary
from lab.saving.checkpoint import load
from lab.tracking import read_journal
from lab.training.averaging import Averaging
from lab.training.settings import EMA
from tests.training.models import Line, Regression

Train = Callable[..., Summary]
STOPPING = {"trainer__early_stopping__metric": "val/loss", "trainer__early_stopping__patience": 3}
UNSTABLE = {"trainer__optimizer__lr": 0.5, "trainer__max_epochs": 12}


def validated(run: Summary, name: str) -> list[float]:
    rows = read_journal(run.dir / "metrics.jsonl")
    return [row[f"val/{name}"] for row in rows if row["axis"] == "epoch"]


def checkpoints(run: Summary) -> set[str]:
    return {path.name for path in (run.dir / "checkpoints").iterdir() if not path.name.startswith("step-")}


def model_of(run: Summary, title: str) -> Regression:
    model = Regression(DataSpec(InputSpec((3,)), Values((1,))))
    model.load_state_dict(load(run.dir / "checkpoints" / title).state)
    return model


def absolute_error(model: Regression) -> float:
    data = Line()
    data.prepare()
    with torch.no_grad():
        return float((model(data.x[100:120]) - data.y[100:120]).abs().mean())


def test_the_average_has_its_closed_form() -> None:
    model = Regression(DataSpec(InputSpec((3,)), Values((1,))))
    averaging = Averaging(EMA(decay=0.5), model)
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    for n in range(1, 8):
        decay = min(0.5, (1 + n) / (10 + n))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        averaging._update()
        expected = {k: decay * v + (1 - decay) * model.state_dict()[k] for k, v in expected.items()}
    trained = {name: value.clone() for name, value in model.state_dict().items()}
    with averaging.in_place():
        for name, value in model.state_dict().items():
            assert torch.allclose(value, expected[name], atol=1e-6)
    assert all(torch.equal(value, trained[name]) for name, value in model.state_dict().items())


def test_averaged_weights_are_validated_and_kept(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(trainer__ema__decay=0.9)
    assert "evaluated and exported: the averaged weights (EMA with a decay of 0.9)" in capsys.readouterr().err
    assert checkpoints(run) == {"final", "last"}
    assert absolute_error(model_of(run, "final")) == pytest.approx(validated(run, "absolute")[-1], rel=1e-5)
    assert absolute_error(model_of(run, "last")) != pytest.approx(validated(run, "absolute")[-1], rel=1e-3)


def test_averaging_leaves_the_training_as_it_is(train: Train) -> None:
    plain, averaged = train(), train(trainer__ema__decay=0.9)
    trained, last = (model_of(run, title) for run, title in ((plain, "final"), (averaged, "last")))
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), last.parameters(), strict=True))


def test_the_best_epoch_is_judged(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(trainer__keep_best__metric="val/absolute", **UNSTABLE)
    errors = validated(run, "absolute")
    best = errors.index(min(errors)) + 1
    assert best < len(errors), "or the last weights would be the best ones"
    assert f"weights of the best epoch by val/absolute (epoch {best}, " in capsys.readouterr().err
    assert checkpoints(run) == {"final", "best", "last"}
    assert absolute_error(model_of(run, "final")) == pytest.approx(min(errors), rel=1e-5)
    assert absolute_error(model_of(run, "last")) == pytest.approx(errors[-1], rel=1e-5)


def test_early_stopping_judges_the_best_epoch(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(**STOPPING, **UNSTABLE | {"trainer__max_epochs": 50})
    losses = validated(run, "loss")
    assert len(losses) == losses.index(min(losses)) + 1 + 3
    assert f"weights of the best epoch by val/loss (epoch {len(losses) - 3}, " in capsys.readouterr().err
    assert absolute_error(model_of(run, "final")) == pytest.approx(validated(run, "absolute")[-4], rel=1e-5)


def test_a_nan_is_an_epoch_without_improvement(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = [torch.nan, 2.0, torch.nan, torch.inf, torch.nan, 1.0]

    def measure(self: Any, batch: Any, metrics: Any) -> dict[str, torch.Tensor]:
        metrics["absolute"].update(torch.zeros(1))
        testing = self.running and self.trainer.testing
        return {"loss": torch.tensor(0.0 if testing else losses[self.current_epoch])}

    monkeypatch.setattr(Regression, "measure", measure)
    run = train(**STOPPING, trainer__max_epochs=6)
    assert len(validated(run, "loss")) == 5, "three epochs after the second"
    assert run.judged == "weights of the best epoch by val/loss (epoch 2, 2)"


def test_more_of_a_metric_can_be_better(train: Train) -> None:
    run = train(trainer__keep_best__metric="val/loss", trainer__keep_best__mode="max")
    losses = validated(run, "loss")
    assert absolute_error(model_of(run, "best")) == pytest.approx(validated(run, "absolute")[losses.index(max(losses))])


def test_the_average_of_the_best_epoch_is_judged(train: Train) -> None:
    run = train(trainer__keep_best__metric="val/absolute", trainer__ema__decay=0.5, **UNSTABLE)
    assert absolute_error(model_of(run, "final")) == pytest.approx(min(validated(run, "absolute")), rel=1e-5)


def test_each_checkpoint_can_be_evaluated(train: Train) -> None:
    run = train(trainer__keep_best__metric="val/loss", trainer__keep_best__mode="max")
    assert evaluate(run.dir).metrics == run.metrics == evaluate(run.dir, checkpoint="best").metrics
    assert evaluate(run.dir, checkpoint="last").metrics != run.metrics


@pytest.mark.parametrize("setting", ["early_stopping.metric", "keep_best.metric"])
def test_unknown_metrics_are_refused(train: Train, setting: str) -> None:
    with pytest.raises(ConfigError) as refused:
        train(**{f"trainer.{setting}": "val/absolut"})
    expected = "must be one of val/loss, val/absolute, received val/absolut; did you mean 'val/absolute'?"
    assert str(refused.value) == f"trainer.{setting} {expected}"
    assert not Path("runs").exists()


def test_choosing_needs_validation_data(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Line, "validation", lambda self, device: None)
    with pytest.raises(ConfigError, match=r"trainer\.keep_best needs validation examples, but the data holds none out"):
        train(trainer__keep_best__metric="val/loss")


def test_no_finite_metric_keeps_the_last_weights(
    train: Train, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(self: Any, batch: Any, metrics: Any) -> dict[str, torch.Tensor]:
        metrics["absolute"].update(torch.zeros(1))
        return {"loss": torch.tensor(0.0 if self.running and self.trainer.testing else torch.nan)}

    monkeypatch.setattr(Regression, "measure", measure)
    run = train(trainer__keep_best__metric="val/loss")
    assert "val/loss was never a finite number: the last weights are evaluated" in capsys.readouterr().err
    assert checkpoints(run) == {"final", "last"}
