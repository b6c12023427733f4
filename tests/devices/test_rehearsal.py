"""`make gpu` in small: one step really runs, and one that fails or hangs does not end the others."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu.plan import GRAPHED, RESUMED, TRAINED, Step, steps
from benchmarks.gpu.work import settings
from lab.configuration import load


def test_rehearsal_writes_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu", "about", "--device", "cpu"])
    monkeypatch.setenv("PYTHONPATH", str(Path(gpu.__file__).parents[2]))
    assert gpu.main() == 0
    report = json.loads(Path("gpu.json").read_text())
    assert report["device"] == "cpu"
    assert report["steps"]["about"]["verdict"] == "done"
    assert report["steps"]["about"]["versions"]["torch"]


@pytest.mark.parametrize(
    ("code", "verdict", "said"),
    [
        ("raise RuntimeError('CUDA error')", "failed", "RuntimeError: CUDA error"),
        ("import time; print('begun', flush=True); time.sleep(60)", "too long", "begun"),
        ("print('3 passed')", "done", "3 passed"),
    ],
)
def test_step_says_how_it_ended(code: str, verdict: str, said: str) -> None:
    found = gpu.run(Step("a step", ["-c", code], 60, measured=False), 2 if verdict == "too long" else 60)
    assert found["verdict"] == verdict
    assert said in gpu.summary(found)


def test_what_does_not_fit_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--budget", "1"])
    assert gpu.main() == 1
    report = json.loads(Path("gpu.json").read_text())
    assert {one["verdict"] for one in report["steps"].values()} == {"left out"}
    assert len(report["steps"]) == len(steps("cpu"))


def test_plan_fits_configs() -> None:
    """Names of steps are unique, and all settings exist."""
    names = [step.name for step in steps("cuda")]
    assert len(names) == len(set(names))
    for name in TRAINED:
        load(name, settings(name, "cpu"))
    assert {*RESUMED, *GRAPHED} <= TRAINED.keys()
