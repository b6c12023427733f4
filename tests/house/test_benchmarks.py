"""A benchmark whose data or peer is not at hand is left out and named, and the others go on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import left_out
from benchmarks.left_out import left_out_if_missing, require
from lab.errors import DataError


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(left_out, "NAMED", names)
    return names


def test_a_missing_peer_is_named(named: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with left_out_if_missing("lab / nobody"):
        require("json", "no_such_peer")
        pytest.fail("it began without its peer")
    assert named == ["lab / nobody: no_such_peer not installed: pip install '.[bench]'"]
    assert capsys.readouterr().out.startswith("left out: lab / nobody")


def test_missing_data_are_named(named: list[str]) -> None:
    with left_out_if_missing("images"):
        raise DataError("mnist cannot be downloaded")
    assert named == ["images: mnist cannot be downloaded"]


def test_a_process_that_fails_is_named_with_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[str] = []
    monkeypatch.setattr(left_out, "FAILED", failed)
    with left_out_if_missing("one"):
        subprocess.run([sys.executable, "-c", "raise SystemExit('no luck')"], check=True, capture_output=True)
    assert len(failed) == 1
    assert failed[0].startswith("one: ")
    assert "no luck" in failed[0]


def test_what_is_there_runs_and_faults_are_raised(named: list[str]) -> None:
    require("json")
    with pytest.raises(ZeroDivisionError), left_out_if_missing("json"):
        1 / 0  # noqa: B018
    assert named == []
