"""What `lab run --seeds` says when one of its runs ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.cli.views.live import Display
from lab.seeds.children import Child
from tests.support.recorded import PUBLISHED, recorded

TARGET = {"metric": "eval/length_mean", "value": 400.0, "verdict": "missed", "reason": "too short"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "eval/return_mean 480, met"),
        ({"target": TARGET}, "eval/return_mean 480, met"),
        ({"target": TARGET, "reference": {"verdict": "none"}}, "eval/length_mean 390, missed"),
        ({"reference": {"verdict": "none"}}, "eval/return_mean 480, none"),
    ],
)
def test_result_is_what_is_judged(changes: dict[str, Any], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"eval/return_mean": 480.0, "eval/length_mean": 390.0}
    run = recorded(Path("runs"), metrics=metrics, **({"reference": dict(PUBLISHED)} | changes))
    child = Child({"seed": 0}, "there", (), Path("log"), run.dir, "ended")
    with Display() as display:
        display([child])
    assert f"seed 0: already there, {expected}" in capsys.readouterr().err
