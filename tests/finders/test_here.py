"""The working directory is taken off Python's path, unless it was put there in full."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from lab.finders import here
from lab.finders.here import keep_children_off, take_off


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has put the working directory before everything else."""
    monkeypatch.setattr(sys, "path", [os.getcwd(), *sys.path])
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    monkeypatch.setenv("PATH", os.environ["PATH"])


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


def test_libraries_find_no_programs_here() -> None:
    """matplotlib starts `fc-list`, which it looks for where PATH says."""
    Path("fc-list").touch(mode=0o755)
    before = os.environ["PATH"]
    os.environ["PATH"] = os.pathsep.join(["", before, "."])
    assert shutil.which("fc-list") in ("fc-list", "./fc-list")
    keep_children_off()
    assert os.environ["PATH"] == before


def test_removed_folder_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep)
    os.rmdir(os.getcwd())
    take_off()
