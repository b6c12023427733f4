"""Of many runs, what was read is remembered: the same is shown, what changed is read again, and nothing is lost."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.runs import select, summary
from lab.runs.select import choose
from lab.system.remembered import Remembered, stamp_of
from tests.support.recorded import recorded

RUNS = Path("runs")


@pytest.fixture(autouse=True)
def few_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (summary, select):
        monkeypatch.setattr(module, "MANY", 3)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))  # macOS
    return tmp_path


def some_runs(count: int = 5) -> list[Path]:
    folders = [recorded(RUNS, seed=seed).dir for seed in range(count)]
    for folder in folders:  # as if they were older than the last seconds
        for path in (*folder.rglob("*"), folder):
            os.utime(path, (time.time() - 60, time.time() - 60))
    return folders


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["runs", *words]) == 0
    return capsys.readouterr().out


def test_the_second_time_nothing_is_read(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    some_runs()
    words = ("--columns", "run,result,agent,disk")
    before = listed(capsys, *words)

    def unexpected(*_: object) -> None:
        raise AssertionError("read again")

    for module, name in ((summary, "read_summary"), (select, "read"), (select.Run, "_read_config")):
        monkeypatch.setattr(module, name, unexpected)
    monkeypatch.setattr("lab.runs.cache.disk", unexpected)
    assert listed(capsys, *words) == before


def test_changes_are_seen(capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third, *_ = some_runs()
    listed(capsys)
    values = json.loads((first / "summary.json").read_text())
    (first / "summary.json").write_text(json.dumps({**values, "metrics": {"eval/return_mean": 7.25}}))
    (second / "summary.json").write_text("{")
    (third / "media" / "large").write_bytes(b"x" * 3_000_000)
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert "7.25" in out
    assert "3.0 MB" in out
    assert f"{second}/summary.json is damaged" in err
    assert out.splitlines()[-1].startswith("4 runs, ")


def test_the_cache_may_be_deleted_or_damaged(few_are_many: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some_runs()
    before = listed(capsys)
    files = [path for path in few_are_many.rglob("*-summaries-*") if path.is_file()]
    assert files
    for content in (b"", b"\0\xff\t\t\n" * 10, b"[" * 1000, files[0].read_bytes().replace(b'"seed"', b'"sead"')):
        for path in files:
            path.write_bytes(content)
        assert listed(capsys) == before
    for path in files:
        path.unlink()
    assert listed(capsys) == before


def test_a_change_within_the_last_seconds_is_not_missed() -> None:
    folder = recorded(RUNS).dir
    found = os.lstat(folder / "summary.json")
    memory = Remembered("test", RUNS)
    memory.put(str(folder), stamp_of(found), {"a": 1}, found.st_mtime)
    assert memory.get(str(folder), stamp_of(found)) is None


def test_what_json_does_not_give_back_is_not_remembered() -> None:
    memory = Remembered("test", RUNS)
    for value in ({1: 2}, {"a": float("nan")}, {"a": (1, 2)}, {"a": Path("x")}):
        memory.put("run", "stamp", value, 0.0)
        assert memory.get("run", "stamp") is None
    memory.put("run", "stamp", {"a": [1, None, "ü\t\n"]}, 0.0)
    assert memory.get("run", "stamp") == {"a": [1, None, "ü\t\n"]}
    assert memory.get("run", "other") is None


def test_the_first_runs_need_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    folders = some_runs()
    (folders[-1] / "summary.json").write_text("{")
    lines = listed(capsys, "--limit", "2").splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == [run.record.run_id for run in choose([], RUNS)[:2]]
    assert lines[-1].startswith("2 of 5 runs")
