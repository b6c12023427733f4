"""How far runs are that processes work on."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.cli.views.running import key_metric, position
from lab.cli.views.runs import runs_table
from lab.console import progress
from lab.console.progress import FILE, Progress
from lab.console.wording import rate, time_left
from lab.runs.folder import locked
from lab.runs.select import Run
from tests.support.recorded import recorded

RUNS = Path("runs")
COLUMNS = ("run", "experiment", "status", "seed", "result", "verdict", "train", "device", "disk")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_LINE_EVERY", 0.0)
    monkeypatch.setattr(progress, "FILE_EVERY", 0.0)


def test_a_run_at_work_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    run = recorded(RUNS, status="running", metrics={})
    with locked(run.dir), Progress("training", 1000, "steps", folder=run.dir) as bar:
        bar.started -= 10
        bar.update(250, {"train/loss": 0.5, "rollout/return_mean": 123.4})
        found = position(Run(run))
        assert found is not None
        assert (found.done, found.total, found.metric, found.value) == (250, 1000, "rollout/return_mean", 123.4)
        assert found.rate == pytest.approx(25, rel=0.01)
        assert found.left == pytest.approx(30, rel=0.01)
        assert main(["runs"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == ["running", "experiment", "step", "rate", "left", "latest"]
        assert lines[1].split() == [run.run_id, "ppo-a", "250/1,000", "25/s", "0:30", "return_mean", "123.4"]
    assert not (run.dir / FILE).exists(), "a finished stage leaves nothing"


def test_a_process_without_a_terminal_leaves_no_more_than_it_must() -> None:
    run = recorded(RUNS, status="running")
    (run.dir / FILE).mkdir()
    with Progress("training", 10, "steps", folder=run.dir) as bar:
        bar.update(5, {"loss": float("nan")})  # neither raises
    assert position(Run(run)) is None


@pytest.mark.parametrize(
    "text", ["", "[]", '{"stage": 3}', '{"stage": "x", "unit": "y", "done": "1", "time": NaN}', "["]
)
def test_a_damaged_file_says_nothing(text: str) -> None:
    run = recorded(RUNS)
    (run.dir / FILE).write_text(text)
    assert position(Run(run)) is None


def test_old_news_are_called_old(capsys: pytest.CaptureFixture[str]) -> None:
    run = recorded(RUNS, status="running")
    news = {"stage": "training", "done": 1, "total": 2, "unit": "steps", "rate": 0, "metrics": {}}
    (run.dir / FILE).write_text(json.dumps({**news, "time": time.time() - 600}))
    with locked(run.dir):
        main(["runs"])
    assert "10:00 ago" in capsys.readouterr().out


def test_the_metric_nearest_to_the_result_is_shown() -> None:
    metrics = {"epoch": 3.0, "train/loss": 0.5, "val/accuracy": 0.9}
    assert key_metric(metrics, "test/accuracy") == ("val/accuracy", 0.9)
    assert key_metric(metrics, "test/nll") == ("train/loss", 0.5)
    assert key_metric({"epoch": 3.0}, "") == ("epoch", 3.0)
    assert key_metric({}, "test/nll") == ("", None)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123, "0.0123/s"), (0.25, "0.25/s"), (2.5, "2.5/s"), (99.5, "99.5/s"), (12345.6, "12,346/s")]
)
def test_slow_rates_are_not_0(value: float, text: str) -> None:
    assert rate(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(59.7, "1:00"), (3599.4, "59:59"), (7325, "2:02:05")])
def test_time_left(seconds: float, text: str) -> None:
    assert time_left(seconds) == text


@pytest.mark.parametrize("width", [70, 80, 100, 200])
def test_rows_fit_the_terminal(width: int) -> None:
    recorded(RUNS, "ppo-cartpole-masked", 12, durations={"train": 1234.0})
    record = recorded(RUNS, "ppo-cartpole-masked", 13, fast_dev_run=True)
    runs = [Run(recorded(RUNS, "ppo-cartpole")), Run(record)]
    head, *rows, note = runs_table(runs, COLUMNS, width=width)
    assert all(len(line) <= max(width, 79) for line in (head, *rows))
    assert "480" in rows[0]
    assert "fast-dev" in rows[1]
    assert ("disk" in head) == (width == 200)
    assert ("in a wider terminal" in note) == (width < 200)


def test_best_leaves_fast_dev_runs_out(capsys: pytest.CaptureFixture[str]) -> None:
    good = recorded(RUNS, metrics={"eval/return_mean": 1.0})
    fast = recorded(RUNS, seed=1, metrics={"eval/return_mean": 500.0}, fast_dev_run=True)
    assert main(["runs", "--best", "eval/return"]) == 0
    out, err = capsys.readouterr()
    assert good.run_id in out
    assert fast.run_id not in out
    assert "left out: 1 fast-dev run" in err
    assert main(["runs", "--best", "eval/return", "--where", "fast_dev_run=true"]) == 0
    assert "no such runs" in capsys.readouterr().out


def test_a_fork_names_its_parent(capsys: pytest.CaptureFixture[str]) -> None:
    recorded(RUNS)
    recorded(RUNS, parent={"run_id": "20250101-s0", "checkpoint": 7})
    assert main(["runs", "--columns", "run,parent"]) == 0
    assert "20250101-s0" in capsys.readouterr().out


def test_csv_goes_to_stdout_for_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    recorded(RUNS)
    assert main(["runs", "--export", "csv"]) == 0
    expected = capsys.readouterr().out
    assert main(["runs", "--export", "csv", "-o", "-"]) == 0
    assert capsys.readouterr().out == expected
    assert not Path("-").exists()
