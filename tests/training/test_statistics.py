"""Statistics of gradients and activations are those of the step, and change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import lab
from lab.runs.summary import Summary
from lab.saving.checkpoint import load
from lab.tracking import read_journal
from lab.training.loop.layer_statistics import activation_statistics, complaints

Train = Callable[..., Summary]


def statistics(run: Summary) -> list[dict[str, Any]]:
    rows = read_journal(run.dir / "metrics.jsonl")
    return [row for row in rows if any(name.startswith("statistics/") for name in row)]


def test_activation_statistics_closed_form() -> None:
    output = torch.tensor([[0.0, 1.0, 0.0, 3.0], [0.0, 0.0, 0.0, 4.0]])
    found = activation_statistics(output)
    assert found["activation_mean"] == 1
    assert found["activation_std"] == pytest.approx(float(output.std(correction=0)))
    assert found["dead_units"] == 0.5


def test_a_unit_of_a_map_is_a_channel() -> None:
    maps = torch.zeros(2, 4, 3, 3)
    maps[1, 2, 0, 0] = 1
    assert activation_statistics(maps)["dead_units"] == 0.75


def test_rows_come_every_so_many_steps(train: Train) -> None:
    run = train(trainer__statistics_every=7, trainer__accumulate=2)
    found = statistics(run)
    assert [row["global_step"] for row in found] == [7, 14], "of 20 optimizer steps"
    assert {name for name in found[0] if name.startswith("statistics/")} == {
        "statistics/gradient_norm",
        *(f"statistics/gradient_norm/{part}" for part in ("body.0", "body.1", "output")),
        *(f"statistics/{what}/body.2" for what in ("activation_mean", "activation_std", "dead_units")),
    }
    parts = [found[0][f"statistics/gradient_norm/{part}"] for part in ("body.0", "body.1", "output")]
    assert sum(part**2 for part in parts) ** 0.5 == pytest.approx(found[0]["statistics/gradient_norm"])


def test_dead_units_are_found(train: Train) -> None:
    run = train(model__dead=True, trainer__statistics_every=10, trainer__max_epochs=1)
    assert statistics(run)[0]["statistics/dead_units/body.2"] == 1
    assert statistics(run)[0]["statistics/gradient_norm/body.0"] == 0


def test_statistics_change_nothing(train: Train) -> None:
    plain, watched = (
        load(run.dir / "checkpoints" / "final").state for run in (train(), train(trainer__statistics_every=1))
    )
    assert all(torch.equal(plain[name], watched[name]) for name in plain)


def test_no_hook_stays_behind(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[nn.Module] = []
    real = nn.ReLU.forward

    def forward(self: nn.ReLU, x: torch.Tensor) -> torch.Tensor:
        found.append(self)
        return real(self, x)

    monkeypatch.setattr(nn.ReLU, "forward", forward)
    train(trainer__statistics_every=3)
    assert not found[-1]._forward_hooks


def test_vanishing_gradients_and_dead_layers_are_said() -> None:
    assert not list(complaints({"first": 0.01, "last": 1.0}, []))
    (vanishing,) = complaints({"first": 1e-9, "last": 1.0}, [])
    assert "that of first is 1e-09 of that of last" in vanishing
    (dead,) = complaints({"first": 1.0}, ["body.2"])
    assert "all units of body.2 are zero" in dead


def test_depth_without_residuals_is_said_to_vanish(capsys: pytest.CaptureFixture[str]) -> None:
    """The norm of each layer's gradient is drawn, too."""
    settings = {"data.name": "digits", "trainer.max_steps": 40, "trainer.max_epochs": None, "threads": 1}
    plain, residual = (
        lab.run(name, settings | {"trainer.statistics_every": 20}, runs_dir="runs")
        for name in ("deep-plain", "deep-residual")
    )
    assert capsys.readouterr().err.count("the gradient vanishes") == 1
    for run in (plain, residual):
        assert (run.dir / "media" / "layer_gradients-00000040.png").is_file()
    assert (plain.metrics["test/accuracy"] or 0) < 0.3 < (residual.metrics["test/accuracy"] or 0)
