"""The panel at the end of a run: what it is measured against, and the commands that use it."""

from __future__ import annotations

import argparse
import io
import shlex
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lab.cli.experiments import run
from lab.cli.views.panel import next_steps, panel
from tests.support.recorded import PUBLISHED, recorded

TARGET = {
    "metric": "eval/return_mean",
    "value": 470.0,
    "direction": "max",
    "dataset": "CartPole-v1",
    "protocol": "20 episodes",
    "why": "half of the seeds reach it",
    "verdict": "met",
    "reason": "is 480, target 470",
}


def shown(width: int = 160, **changes: Any) -> list[str]:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(panel(recorded(Path("runs"), **changes)))
    return [line.strip("│ ") for line in capture.get().splitlines()]


def commands(**changes: Any) -> list[str]:
    return [line.plain for line in next_steps(recorded(Path("runs"), **changes))]


def test_reference_and_target_have_verdicts() -> None:
    lines = shown(reference={**PUBLISHED, "verdict": "missed", "reason": "is 480, published 500"}, target=TARGET)
    assert "reference missed: is 480, published 500" in lines
    assert "target met: is 480, target 470" in lines
    assert "a paper; a protocol" in lines
    assert "half of the seeds reach it; 20 episodes" in lines
    (heading,) = (line.split() for line in lines if line.startswith("metric"))
    assert heading == ["metric", "this", "run", "published", "target"]
    (row,) = (line.split() for line in lines if line.startswith("eval/return_mean"))
    assert row == ["eval/return_mean", "480", "500", "±", "1.5", "470"]


def test_baselines_stand_beside_the_metric() -> None:
    baselines = {"chance": {"test/accuracy": 0.1}, "centroids": {"test/accuracy": 0.82, "test/loss": 2.0}}
    metrics, bounds = {"test/accuracy": 0.9, "test/f1": 0.9}, {"limit": {"test/f1": 0.95}}
    lines = shown(reference={}, metrics=metrics, baselines=baselines, bounds=bounds)
    assert [line.split() for line in lines if line.startswith(("metric", "test/"))] == [
        ["metric", "this", "run", "chance", "centroids", "bound:", "limit"],
        ["test/accuracy", "0.9", "0.1", "0.82"],
        ["test/f1", "0.9", "0.95"],
    ]


def test_commands_follow_from_capabilities() -> None:
    assert not any(line.startswith(("lab play", "lab sample", "lab predict", "lab export")) for line in commands())
    lines = commands(can=["act", "sample", "predict", "export", "dance"])
    for command in ("lab play", "lab sample", "lab predict", "lab export"):
        assert any(line.startswith(f"{command} runs/") for line in lines), command


def test_commands_do_what_they_say() -> None:
    usual = commands()
    assert any("exactly this run once more" in line for line in usual)
    assert any(line.split("  ")[0] == "lab runs" for line in usual)
    short = commands(fast_dev_run=True, parent={"run_id": "a", "checkpoint": 1})
    assert not any("exactly this run once more" in line for line in short), "a fork began with another run's weights"
    assert any("config.yaml --fast-dev-run --seed 1" in line for line in short)
    elsewhere = [line.plain for line in next_steps(recorded(Path("elsewhere")))]
    assert any("lab runs --runs-dir elsewhere" in line for line in elsewhere)


def test_needs_and_judged_weights_are_said() -> None:
    needs = [{"setting": "model.codes", "run_id": "2026-s0", "experiment": "vqvae-mnist", "name": "codebook"}]
    lines = shown(needs=needs, judged="weights of the best epoch by val/accuracy (epoch 7, 0.9936)")
    assert "uses     codebook of vqvae-mnist, run 2026-s0" in lines
    assert "weights  weights of the best epoch by val/accuracy (epoch 7, 0.9936)" in lines


@pytest.mark.parametrize("width", [40, 80, 160])
def test_commands_are_never_cut(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    record = recorded(
        Path("runs") / "a rather long folder's name" / ("x" * 40), can=["act", "predict"], wandb={"mode": "offline"}
    )
    console = Console(width=width, file=io.StringIO())
    monkeypatch.setattr(run, "results", lambda options: console)
    run.show(record, argparse.Namespace(json=False))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    folder, config = (shlex.quote(str(path)) for path in (record.dir, record.dir / "config.yaml"))
    for command in (f"lab play {folder}", f"lab sync {folder}", f"lab run {config} --seed 1", "lab runs"):
        assert any(line.startswith(f"{command} ") for line in said.splitlines()), command
