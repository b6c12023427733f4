"""Published tables: their rows are run once, resumed, and set beside what was published."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lab
import lab.seeds.run_varied
from lab.cli.main import main
from lab.configuration import load
from lab.errors import ConfigError
from lab.published import plan, table
from lab.published import results as module
from lab.published.drawing import draw
from lab.published.results import Result, results, shortened
from lab.published.table import Row, Table, read_table, tables
from lab.runs.select import Run
from lab.runs.summary import local_runs
from lab.system.forking import can_fork
from tests.faults.harness import shared_server
from tests.support.recorded import recorded

RUNS = Path("runs")
SMALL = {
    "data.name": "digits",
    "data.val_size": 0,
    "data.train_size": 200,
    "model.encoder.hidden": [8],
    "model.nll_samples": 5,
    "model.fid_samples": None,
    "trainer.max_steps": None,
    "trainer.max_epochs": 2,
    "threads": 1,
}


def table_of(**settings: Mapping[str, Any]) -> Table:
    rows = [Row(name, 1e6, "vae-mnist", {**SMALL, **one}) for name, one in settings.items()]
    return Table("small", "A small table", "nobody", "2026-11-28", "test/nll", "nats", "min", "a protocol", rows)


WIDE = table_of(narrow={"model.latent_dim": 2}, wide={"model.latent_dim": 8})


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "read_table", lambda name: WIDE)
    if can_fork():  # or each command would start a server of its own
        monkeypatch.setattr(lab.seeds.run_varied, "ForkServer", lambda name: nullcontext(shared_server()))


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[list[dict[str, Any]], str]:
    """The rows as JSON, and what was said."""
    capsys.readouterr()
    assert main(["reproduce", "small", "--json", *words]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out)["rows"], captured.err


@pytest.mark.slow
def test_rows_are_run_once(capsys: pytest.CaptureFixture[str]) -> None:
    lab.run("vae-mnist", WIDE.rows[1].settings, runs_dir=RUNS)
    first, _ = told(capsys)
    again, said = told(capsys)
    assert len(list(local_runs(RUNS))) == 2
    assert [row["verdict"] for row in first] == ["met", "met"]
    assert first == again
    assert first[0]["ours"] != first[1]["ours"]
    assert "drawn in small" in said
    assert Path("small.png").stat().st_size > 5_000


@pytest.mark.slow
def test_interrupted_row_is_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    """It is the same run afterwards, with the same figure."""
    run = lab.run("vae-mnist", WIDE.rows[0].settings, runs_dir=RUNS)
    replace(run, status="interrupted", metrics={}).write()
    shutil.rmtree(run.dir / "checkpoints" / "final")
    (resumed,), _ = told(capsys, "--rows", "narrow")
    assert (resumed["ours"], resumed["run"]) == (run.metrics["test/nll"], run.run_id)


def test_short_budget_has_no_verdict(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is as long as the minutes allow on this machine, and the same command finds it again."""
    monkeypatch.setattr(plan, "TIMED", 0.2)
    endless = replace(WIDE.rows[0], settings={**WIDE.rows[0].settings, "trainer.max_epochs": 100_000})
    monkeypatch.setattr(table, "read_table", lambda name: replace(WIDE, rows=[endless]))
    (row,), said = told(capsys, "--budget", "0.004")
    assert "measuring how long a step takes" in said
    assert row["verdict"] == "not-comparable"
    assert row["budget"].startswith("a shortened budget: ")
    assert row["budget"].endswith(" steps of 100,000 epochs")
    (again,), said = told(capsys, "--budget", str(row["train_seconds"] / 60))
    assert again == row
    assert "measuring" not in said


@pytest.mark.parametrize(
    ("steps", "status", "planned"),
    [
        (1200, "interrupted", 1200),
        (1200, "failed", 1000),
        (5000, "interrupted", 1000),
        (100, "running", 1000),  # it says so, and no process works on it
        (None, "interrupted", 1000),
    ],
)
def test_unfinished_runs_of_other_budgets_are_left(
    steps: int | None, status: str, planned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is the row's own length."""
    short = {"trainer.max_epochs": None, "trainer.max_steps": 1000}
    monkeypatch.setattr(plan, "_budget", lambda row, minutes, settings: short)
    row = WIDE.rows[0]
    had = {**row.settings, **({"trainer.max_epochs": None, "trainer.max_steps": steps} if steps else {})}
    recorded(RUNS, row.experiment, config=load(row.experiment, had).as_dict(), status=status)
    found = plan.planned(row, minutes=1.0, seed=0, runs=RUNS)
    assert {name: found[name] for name in short} == short | {"trainer.max_steps": planned}


def test_full_run_stands_before_a_short_one() -> None:
    short = {**SMALL, "model.latent_dim": 2, "trainer.max_epochs": None, "trainer.max_steps": 5}
    lab.run("vae-mnist", short, runs_dir=RUNS)
    runs = [Run(record) for record in local_runs(RUNS)]
    assert results(WIDE, runs)[0].shorter == "a shortened budget: 5 steps of 2 epochs"
    lab.run("vae-mnist", WIDE.rows[0].settings, runs_dir=RUNS)
    runs = [Run(record) for record in local_runs(RUNS)]
    assert results(WIDE, runs)[0].verdict == "met"
    assert results(WIDE, runs)[1].run is None


@pytest.mark.parametrize(
    ("had", "shorter"),
    [
        ({"trainer.max_epochs": 2}, False),
        ({"trainer.max_epochs": 3}, False),
        ({"trainer.max_epochs": 1}, True),
        ({"trainer.max_epochs": 3, "trainer.max_steps": 5}, True),
        ({"trainer.max_steps": 10_000}, True),
        ({}, True),
    ],
)
def test_a_longer_run_is_not_shortened(had: dict[str, int], shorter: bool) -> None:
    run: Any = SimpleNamespace(value=had.get)
    assert bool(shortened(WIDE.rows[0], run)) is shorter


def test_another_metric_has_no_verdict() -> None:
    lab.run("vae-mnist", WIDE.rows[0].settings, runs_dir=RUNS)
    runs = [Run(record) for record in local_runs(RUNS)]
    other = results(replace(WIDE, differs="the published figure is in bits"), runs)[0]
    assert (other.verdict, other.reason) == ("not-comparable", "the published figure is in bits")
    worse = replace(WIDE, rows=[replace(WIDE.rows[0], value=1.0)])
    assert results(worse, runs)[0].verdict == "missed"


@pytest.mark.slow
def test_failing_row_stops_no_other(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lab.run("vae-mnist", WIDE.rows[1].settings, runs_dir=RUNS)
    bad = replace(WIDE.rows[0], settings={**SMALL, "trainer.optimizer.lr": 1e30})
    monkeypatch.setattr(table, "read_table", lambda name: replace(WIDE, rows=[bad, WIDE.rows[1]]))
    (failed, other), _ = told(capsys, code=3)
    assert failed["ours"] is None
    assert other["verdict"] == "met"


def test_report_has_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    lab.run("vae-mnist", WIDE.rows[0].settings, runs_dir=RUNS)
    monkeypatch.setattr(module, "tables", lambda: {"small": Path("small.yaml")})
    monkeypatch.setattr(module, "read_table", lambda name: WIDE)
    assert main(["report"]) == 0
    page = Path("report.html").read_text()
    assert "A small table" in page
    assert "not run" in page


def test_picture_has_every_row() -> None:
    found = [
        Result(row, None, figure, "a shortened budget" if figure else "", "none", "")
        for row, figure in zip(WIDE.rows, (90.0, None), strict=True)
    ]
    image = draw(WIDE, found)
    assert image.width > 500
    assert len(image.getcolors(1 << 20) or ()) > 10


def test_every_table_names_experiments() -> None:
    for name in tables():
        for row in read_table(name).rows:
            load(row.experiment, dict(row.settings))


def test_wrong_names_are_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"small has no row 'wyde'; did you mean 'wide'\?"):
        WIDE.chosen(["wyde"])
    assert [row.name for row in WIDE.chosen(["wid"])] == ["wide"]
    assert main(["reproduce", "small", "-o", "x.pdf"]) == 2
    assert main(["reproduce", "small", "-o", "no/such/x.png"]) == 2
    monkeypatch.setattr(table, "read_table", read_table)
    assert main(["reproduce", "iwae-tabl1"]) == 2
    assert "did you mean 'iwae-table1'?" in capsys.readouterr().err
    assert main(["reproduce", "--json"]) == 0
    assert "iwae-table1" in [one["name"] for one in json.loads(capsys.readouterr().out)]
    assert not RUNS.exists()
