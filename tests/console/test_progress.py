"""Progress bars, in a terminal and without one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lab.console import progress
from lab.console.progress import Progress

METRICS = {"epoch": 3.0, "train/loss": 203.456, "train/reconstruction": 195.1, "train/kl": 8.356}


@pytest.mark.parametrize("width", [80, 200])
def test_bar_fits_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=screen, force_terminal=True, width=width, color_system=None))
    monkeypatch.setattr(progress, "BAR_REFRESH_EVERY", 0.0)
    with Progress("training", 100_000, "steps") as bar:
        bar.update(50_000, METRICS)
    drawn = screen.getvalue()
    assert "50000/100000" in drawn
    assert "/s" in drawn
    assert "epoch 3  loss 203.5" in drawn
    assert ("reconstruction 195.1  kl 8.356" in drawn) == (width == 200)
    assert ("recon" in drawn) == (width == 200), "a metric that does not fit is left out"


def test_plain_lines_without_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_LINE_EVERY", 0.0)
    with Progress("training", 100, "steps") as bar:
        bar.update(50, METRICS)
    err = capsys.readouterr().err
    assert "training: 50/100 steps (50%)" in err
    assert "left  epoch 3  train/loss 203.5" in err
