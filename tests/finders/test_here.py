"""The working directory is taken off Python's path, unless it was put there in full."""

from __future__ import annotations

import os
import sys

import pytest

from lab.finders import here
from lab.finders.here import take_off


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has put the working directory before everything else."""
    monkeypatch.setattr(sys, "path", [os.getcwd(), *sys.path])
    monkeypatch.setenv("PYTHONSAFEPATH", "")


@pytest.mark.parametrize("part", ["", ".", "./"])
def test_accidental_part_is_taken_off(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([part, "/mine"]))
    take_off()
    assert os.getcwd() not in sys.path
    assert (os.environ["PYTHONPATH"], os.environ["PYTHONSAFEPATH"]) == ("/mine", "1")


def test_what_is_meant_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """So does the folder of the lab itself."""
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    take_off()
    assert (os.getcwd(), os.environ["PYTHONPATH"]) == (sys.path[0], os.getcwd())
    monkeypatch.chdir(here.ROOT)
    sys.path.insert(0, str(here.ROOT))
    monkeypatch.setenv("PYTHONPATH", os.pathsep)
    take_off()
    assert str(here.ROOT) in sys.path


def test_removed_folder_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep)
    os.rmdir(os.getcwd())
    take_off()
